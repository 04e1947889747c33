package logs

import (
	"errors"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"

	"tenure/internal/store"
)

// raftWAL is the log of hashicorp/raft-wal, with one entry for each batch.
type raftWAL struct {
	group

	w     *wal.WAL
	index uint64 // of the newest entry
}

func openRaftWAL(dir string, size int) (log, int, error) {
	w, err := wal.Open(dir, wal.WithSegmentSize(size))
	if err != nil {
		return nil, 0, err
	}
	l := &raftWAL{w: w}
	live := records{}
	first, err := w.FirstIndex()
	last, lastErr := w.LastIndex()
	err = errors.Join(err, lastErr)
	for i := first; i <= last && i > 0 && err == nil; i++ {
		var entry raft.Log
		if err = w.GetLog(i, &entry); err == nil {
			err = live.replay(entry.Data)
		}
	}
	if err != nil {
		return nil, 0, errors.Join(err, w.Close())
	}
	l.index = last
	l.append = func(entries [][]byte) error {
		all := make([]*raft.Log, len(entries))
		for i, data := range entries {
			l.index++
			all[i] = &raft.Log{Term: 1, Index: l.index, Data: data}
		}

		return w.StoreLogs(all)
	}

	return l, len(live[1]), nil
}

func (l *raftWAL) commit(b store.Batch) error { return l.group.commit(encode(b)) }

func (l *raftWAL) close() error { return l.w.Close() }
