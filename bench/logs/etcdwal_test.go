package logs

import (
	"errors"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"

	"tenure/internal/store"
)

// etcdWAL is the log of etcd. Its entries are those of Raft, one for each batch.
type etcdWAL struct {
	group

	w     *wal.WAL
	index uint64 // of the newest entry
}

func openEtcdWAL(dir string, size int) (log, int, error) {
	wal.SegmentSizeBytes = int64(size)
	dir = filepath.Join(dir, "wal")
	var l etcdWAL
	live := records{}
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		if l.w, err = wal.Create(nil, dir, nil); err != nil {
			return nil, 0, err
		}
	} else {
		if l.w, err = wal.Open(nil, dir, &walpb.Snapshot{Index: new(uint64), Term: new(uint64)}); err != nil {
			return nil, 0, err
		}
		_, _, entries, err := l.w.ReadAll()
		if err != nil {
			return nil, 0, errors.Join(err, l.w.Close())
		}
		for _, e := range entries {
			l.index = e.GetIndex()
			if err := live.replay(e.GetData()); err != nil {
				return nil, 0, errors.Join(err, l.w.Close())
			}
		}
	}
	l.append = func(entries [][]byte) error {
		all := make([]*raftpb.Entry, len(entries))
		for i, data := range entries {
			l.index++
			all[i] = &raftpb.Entry{Term: new(uint64(1)), Index: new(l.index), Data: data}
		}

		return l.w.Save(&raftpb.HardState{}, all) // syncs, because there are entries
	}

	return &l, len(live[1]), nil
}

func (l *etcdWAL) commit(b store.Batch) error { return l.group.commit(encode(b)) }

func (l *etcdWAL) close() error { return l.w.Close() }
