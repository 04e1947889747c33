// Package pebblestore stores records on the disk of one machine, in a Pebble database.
//
// Each commit is one Pebble batch, which is written to Pebble's log and synced. Concurrent commits share a sync. The
// first write that fails stops the store, with the same effect on the disk as a power cut (see failstop). Every call
// then returns that error until the store is closed and opened again. Pebble does not notice every loss of commits, so
// a ledger counts them too (see ledger).
//
// Open and Close are fast, so that a process can quickly take over from one that was killed. Open makes few syncs (see
// directory), replays a short log, and starts no compaction before it has finished (see compactions).
//
// One kind of damage goes unnoticed: after a power cut (but not after the mere death of the process), the loss of fewer
// than 1,024 commits from the end of Pebble's log, if the damage looks like an effect of the power cut.
package pebblestore

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2"

	"tenure/internal/node"
	"tenure/internal/store"
)

// The database key of a record is its space (8 bytes, big endian) followed by its key within the space. The store's own
// keys consist of fewer than 8 zero bytes, so that they sort before every space.
var (
	formatKey  = []byte{0}    // formatVersion, 8 bytes, big endian
	commitsKey = []byte{0, 0} // the run of all commits
)

const spaceSize = 8

func spaceKey(space store.Space) []byte { return binary.BigEndian.AppendUint64(nil, uint64(space)) }

// Store is a store.Store on a directory.
type Store struct {
	dir    string
	opts   Options
	held   io.Closer // the directory's lock
	disk   *failstop
	db     *pebble.DB
	ledger *ledger

	order   sync.Mutex // held while a batch gets its number and its position in the log, so that the orders agree
	commits uint64     // the last number assigned; guarded by order

	mu      sync.Mutex     // guards refusal, and is held for calls.Add
	refusal error          // if not nil, new calls return it and do nothing
	calls   sync.WaitGroup // calls in progress

	endDB     func() error // closes db, once
	closing   chan struct{}
	watched   chan struct{} // closed when watch has returned
	closeOnce sync.Once
	closeErr  error
}

// open opens a database that inspect has found intact, with the given number of commits.
func open(dir string, opts Options, held io.Closer, acked, commits uint64) (*Store, error) {
	disk := newFailstop(opts.disk)
	db, l, err := openFiles(disk, dir, opts, acked, commits)
	if err != nil {
		disk.undo()
		if errors.Is(err, store.ErrDamaged) {
			return nil, fmt.Errorf("%w: %s", err, restore)
		}

		return nil, err
	}
	disk.keep()
	s := &Store{
		dir: dir, opts: opts, held: held, disk: disk, db: db, ledger: l, commits: commits,
		endDB: sync.OnceValue(db.Close), closing: make(chan struct{}), watched: make(chan struct{}),
	}
	go s.watch()

	return s, nil
}

func openFiles(disk *failstop, dir string, opts Options, acked, commits uint64) (*pebble.DB, *ledger, error) {
	var err error
	if acked == 0 { // the Open that created the store may have been interrupted
		err = errors.Join(newLedger(disk, dir), syncPath(disk, dir))
	} else {
		disk.trust(dir) // its entries were durable before the first commit was acknowledged
	}
	if err = cmp.Or(disk.failure(), err); err != nil {
		return nil, nil, err
	}
	pebbleOpts, tidying := opts.pebble(disk, disk.stop), new(compactions)
	pebbleOpts.Experimental.CompactionScheduler = tidying
	db, err := pebble.Open(disk.PathJoin(dir, dbName), pebbleOpts)
	if err != nil {
		return nil, nil, cmp.Or(disk.failure(), err)
	}
	l, err := openLedger(disk, dir, acked, commits)
	if err = cmp.Or(disk.failure(), err); err != nil {
		if l != nil {
			_ = l.close()
		}
		_ = db.Close() // the first error is the cause

		return nil, nil, err
	}
	tidying.Done()

	return db, l, nil
}

// watch closes the database after a failure of the disk, because Pebble's background work would otherwise retry
// forever. It also returns when the store is closed, and Close waits for it.
func (s *Store) watch() {
	defer close(s.watched)
	select {
	case <-s.disk.set:
		s.refuse(s.failure())
		s.calls.Wait()
		_ = s.endDB() // the failure is the cause
	case <-s.closing:
	}
}

// failure returns the error that calls return after a failure of the disk, or nil if there was none.
func (s *Store) failure() error {
	cause := s.disk.failure()
	switch {
	case cause == nil:
		return nil
	case errors.Is(cause, store.ErrDamaged):
		return fmt.Errorf("store %q has stopped: %w: restore a backup", s.dir, cause)
	default:
		return fmt.Errorf("store %q has stopped: %w: %s", s.dir, cause, remedy(s.dir, cause))
	}
}

// begin starts a call, or returns an error if calls are refused.
func (s *Store) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := cmp.Or(s.refusal, s.failure()); err != nil {
		return err
	}
	s.calls.Add(1)

	return nil
}

// refuse makes all later calls return err. If it is called repeatedly, the first err counts.
func (s *Store) refuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal = cmp.Or(s.refusal, err)
}

// Load implements store.Store.
func (s *Store) Load(ctx context.Context, space store.Space) iter.Seq2[node.Record, error] {
	return func(yield func(node.Record, error) bool) {
		if err := s.load(ctx, space, yield); err != nil {
			yield(node.Record{}, err)
		}
	}
}

// load yields the records of the space. It returns nil if it has yielded all of them or yield has returned false.
func (s *Store) load(ctx context.Context, space store.Space, yield func(node.Record, error) bool) (err error) {
	if err := space.Check(); err != nil {
		return fmt.Errorf("store %q: load: %w", s.dir, err)
	}
	if err := s.begin(); err != nil {
		return err
	}
	defer s.calls.Done()
	it, err := s.db.NewIterWithContext(ctx, &pebble.IterOptions{
		LowerBound: spaceKey(space), UpperBound: spaceKey(space + 1),
	})
	if err != nil {
		return s.loadError(space, err)
	}
	defer func() { err = cmp.Or(err, s.loadError(space, it.Close())) }()

	for it.First(); it.Valid(); it.Next() {
		value, err := it.ValueAndErr()
		if err = cmp.Or(ctx.Err(), err); err != nil {
			return s.loadError(space, err)
		}
		if !yield(node.Record{Key: it.Key()[spaceSize:], Value: value}, nil) {
			return nil
		}
	}

	return cmp.Or(s.loadError(space, it.Error()), ctx.Err())
}

func (s *Store) loadError(space store.Space, err error) error {
	switch {
	case err == nil:
		return nil
	case pebble.IsCorruptionError(err), errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("store %q: load space %d: %w: %s: restore a backup",
			s.dir, space, store.ErrDamaged, firstLine(err))
	case errors.As(err, new(syscall.Errno)):
		return fmt.Errorf("store %q: load space %d: %w: %s", s.dir, space, spelt(err), remedy(s.dir, err))
	default:
		return fmt.Errorf("store %q: load space %d: %w", s.dir, space, err)
	}
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, b store.Batch) error {
	if err := cmp.Or(ctx.Err(), b.Check()); err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return err
	}
	defer s.calls.Done()
	if len(b.Changes)+len(b.Drop) == 0 {
		return nil
	}
	batch := s.db.NewBatch()
	if err := fill(batch, b); err != nil {
		return fmt.Errorf("store %q: commit to space %d: %w", s.dir, b.Space, errors.Join(err, batch.Close()))
	}
	number, err := s.write(batch)
	if err = errors.Join(err, batch.Close()); err == nil {
		err = s.ledger.ack(number)
	}
	if failure := s.failure(); failure != nil { // Pebble does not know of it and returns no error
		return failure
	}
	if err != nil {
		return fmt.Errorf("store %q: commit to space %d: %w", s.dir, b.Space, err)
	}

	return nil
}

// write writes the batch to Pebble's log and waits until the log is synced. It returns the batch's number.
func (s *Store) write(batch *pebble.Batch) (number uint64, err error) {
	s.order.Lock()
	number = s.commits + 1
	err = batch.Merge(commitsKey, run{number, number}.encode(), nil)
	if err == nil {
		err = s.db.ApplyNoSyncWait(batch, pebble.Sync)
	}
	if err == nil {
		s.commits = number
	}
	s.order.Unlock()
	if err != nil {
		return 0, err
	}

	return number, batch.SyncWait()
}

// fill adds the changes of b to a Pebble batch.
func fill(batch *pebble.Batch, b store.Batch) error {
	for _, space := range b.Drop {
		if err := batch.DeleteRange(spaceKey(space), spaceKey(space+1), nil); err != nil {
			return err
		}
	}
	for _, r := range b.Changes {
		var op *pebble.DeferredBatchOp
		if r.Value == nil {
			op = batch.DeleteDeferred(spaceSize + len(r.Key))
		} else {
			op = batch.SetDeferred(spaceSize+len(r.Key), len(r.Value))
			copy(op.Value, r.Value)
		}
		binary.BigEndian.PutUint64(op.Key, uint64(b.Space))
		copy(op.Key[spaceSize:], r.Key)
		if err := op.Finish(); err != nil {
			return err
		}
	}

	return nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.refuse(store.ErrClosed)
		s.calls.Wait()
		close(s.closing)
		<-s.watched
		s.closeErr = errors.Join(s.endDB(), s.ledger.close(), unlock(s.opts.disk, s.dir, s.held))
	})

	return s.closeErr
}

var _ store.Store = (*Store)(nil)
