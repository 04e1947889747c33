package backup

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"time"

	"tenure/internal/catalog"
	"tenure/internal/node"
	"tenure/internal/store"
)

// Summary describes a backup.
type Summary struct {
	Date       time.Time `json:"date"` // when it was taken, by the clock of the server
	Nodes      int       `json:"nodes"`
	Semaphores int       `json:"semaphores"`
	Sessions   int       `json:"sessions"`
	Records    uint64    `json:"records"`
	Bytes      int64     `json:"bytes"`

	LongestTimeout time.Duration `json:"-"` // of the sessions; 0 if there are none
}

// Options say how to restore. The zero value restores without sessions and without a wait.
type Options struct {
	// KeepSessions restores sessions with everything that they hold and wait for.
	KeepSessions bool
	// Wait is how long the server grants nothing after it starts, because clients of the lost server may still hold what
	// the backup does not know. It is at most catalog.MaxWait.
	Wait time.Duration
}

// Check reads a whole backup, and checks that a server can load each of its nodes.
func Check(r io.Reader) (Summary, error) {
	return Restore(r, Options{}, func(store.Record) error { return nil })
}

// Restore calls put with the records of a server that is restored from a backup, in order of their spaces and keys. The
// slices are valid during the call. The records may be used only if Restore returns no error, because the backup may be
// broken at its end. Restore checks that a server can load each node.
func Restore(from io.Reader, o Options, put func(store.Record) error) (Summary, error) {
	r := newReader(from)
	next, stop := iter.Pull2(r.all())
	defer stop()
	t := restore{Options: o, put: put, next: next}
	t.advance()
	err := t.catalog()
	for err == nil && t.ok {
		err = t.node()
	}
	err = cmp.Or(t.failed, err)
	s := t.summary
	s.Date, s.Records, s.Bytes = r.date, r.records, r.at

	return s, err
}

type restore struct {
	Options

	put      func(store.Record) error
	next     func() (store.Record, error, bool)
	contents catalog.Contents
	summary  Summary

	current store.Record
	ok      bool  // current is a record
	failed  error // the first error of next or put
}

func (t *restore) advance() {
	if t.failed != nil {
		t.ok = false

		return
	}
	var err error
	if t.current, err, t.ok = t.next(); err != nil {
		t.ok, t.failed = false, err
	}
}

// emit puts a record.
func (t *restore) emit(space store.Space, r node.Record) {
	if t.failed == nil {
		t.failed = t.put(store.Record{Space: space, Record: r})
	}
}

// records yields the records of a space as they are in the backup, and passes each of them to restored.
func (t *restore) records(space store.Space, restored func(node.Record) error) iter.Seq2[node.Record, error] {
	return func(yield func(node.Record, error) bool) {
		for t.ok && t.current.Space == space {
			if err := restored(t.current.Record); err != nil && t.failed == nil {
				t.failed = err
			}
			if t.failed != nil || !yield(t.current.Record, nil) {
				break
			}
			t.advance()
		}
		if t.failed != nil {
			yield(node.Record{}, t.failed)
		}
	}
}

func (t *restore) catalog() (err error) {
	t.contents, err = catalog.Read(t.records(store.Catalog, func(r node.Record) error {
		if catalog.Restored(r) {
			t.emit(store.Catalog, r)
		}

		return nil
	}))
	if err != nil {
		return fmt.Errorf("the tree of nodes: %w", err)
	}
	t.summary.Nodes = len(t.contents.Nodes)
	r, err := catalog.RestoreRecord(t.contents, t.Wait)
	if err == nil {
		t.emit(store.Catalog, r)
	}

	return err
}

func (t *restore) node() error {
	space := t.current.Space
	path, known := t.contents.Nodes[space]
	if !known {
		return fmt.Errorf("%w: it has records of space %d, which belongs to no node: use another backup", ErrDamaged, space)
	}
	n, err := node.Load(1, node.Config{}, t.records(space, func(r node.Record) error {
		restored, ok, err := node.Restored(r, t.KeepSessions)
		if ok && err == nil {
			t.emit(space, restored)
		}
		if err != nil {
			err = fmt.Errorf("node %q: %w", path, err)
		}

		return err
	}))
	if err != nil {
		return fmt.Errorf("node %q: %w", path, err)
	}
	sizes := n.Sizes()
	t.summary.Sessions += sizes.Sessions
	t.summary.Semaphores += sizes.Semaphores
	t.summary.LongestTimeout = max(t.summary.LongestTimeout, n.LongestTimeout())

	return nil
}
