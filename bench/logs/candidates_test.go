package logs

import (
	"context"
	"errors"

	"tenure/internal/store"
	"tenure/internal/store/logstore"
)

// A log keeps records. Its methods are safe for concurrent use.
type log interface {
	commit(b store.Batch) error // returns when the batch is durable
	close() error
}

// A candidate is a kind of log.
type candidate struct {
	name string
	size string // package of a program that opens it, below ./size
	// open opens the log in the directory, which it creates if necessary, and returns the number of live records, all
	// of which it has read. A file of the log has this size, if that can be set.
	open func(dir string, size int) (log, int, error)
}

// Sizes of the files of a log: those of a server and those of the embedded server, which is opened often.
const (
	largeLog = 4 << 20
	smallLog = logstore.SmallLog
)

func candidates() []candidate {
	return []candidate{
		{"raw", "none", openRaw},
		{"ours", "ours", openOurs},
		{"pebble", "pebble", openPebble},
		{"etcd-wal", "etcdwal", openEtcdWAL},
		{"raft-wal", "raftwal", openRaftWAL},
	}
}

type ours struct{ s *logstore.Store }

func openOurs(dir string, size int) (log, int, error) {
	s, err := logstore.Open(dir, logstore.Options{LogSize: int64(size)})
	if err != nil {
		return nil, 0, err
	}
	live := 0
	for _, err := range s.Load(context.Background(), 1) {
		if err != nil {
			return nil, 0, errors.Join(err, s.Close())
		}
		live++
	}

	return ours{s}, live, nil
}

func (o ours) commit(b store.Batch) error { return o.s.Commit(context.Background(), b) }

func (o ours) close() error { return o.s.Close() }
