// Package logstore stores records on the disk of one machine, in a log.
//
// A commit appends a frame to the newest segment of the log and syncs it. The goroutine that commits does both by
// itself. Commits that arrive meanwhile share the next write and the next sync (see group). The first write or sync
// that fails stops the store: every call then returns that error until the store is closed and opened again.
//
// No commit creates a file or extends one, unless it has to. A spare segment is created in advance (see Store.prepare),
// and if there is none, the newest one grows. So a process that has no descriptors left can still commit.
//
// The store keeps no records in memory, only where the frames of each space are. A goroutine merges old segments into a
// snapshot, without delaying commits (see Store.tidy).
//
// Open and Close are fast, so that a process can quickly take over from one that was killed. Open reads the segments
// that are not merged yet, which are few, and syncs three times.
//
// One kind of damage goes unnoticed: after a power cut (but not after the mere death of the process), the loss of
// commits from the end of the log which shared the last sync before the power cut. Everything else is noticed: see
// frame and ledger.
package logstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"tenure/internal/clock"
	"tenure/internal/store"
	"tenure/internal/version"
)

// Options configure Open. The zero value works.
type Options struct {
	Logger  *slog.Logger // gets warnings about background work; nil means silent
	Version string       // version of tenure for the VERSION file and for messages; "" means the version of this build
	LogSize int64        // size in bytes of a segment of the log; 0 means 4 MiB

	open func(dir string) (disk, error) // nil means the operating system's file system
	salt func() uint32                  // for a new segment; nil means a secret random number
}

// SmallLog is a LogSize for stores that are often opened after a kill, because Open reads all segments that are not
// merged yet.
const SmallLog = 512 << 10

const defaultLogSize = 4 << 20

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Version = cmp.Or(o.Version, version.String())
	o.LogSize = cmp.Or(o.LogSize, defaultLogSize)
	if o.open == nil {
		o.open = openDisk
	}
	if o.salt == nil {
		o.salt = randomSalt
	}

	return o
}

// Store is a store.Store on a directory.
type Store struct {
	dir    string
	opts   Options
	disk   disk
	held   io.Closer // the directory's lock
	ledger ledger    // used by the leader of a group only

	space space // see Full

	preparing, tidying chan struct{} // wake the goroutines of the same name

	cancel  context.CancelFunc // ends them
	running sync.WaitGroup
	calls   sync.WaitGroup // calls in progress; mu is held for calls.Add

	mu       sync.Mutex // guards all fields below
	refusal  error      // if not nil, new calls return it and do nothing
	failure  error      // if not nil, nothing more is written
	base     *snapshot  // nil if nothing was merged yet
	segments []*segment // those after base, ascending; commits go to the last one
	spare    *segment   // the next one, if it exists
	commits  uint64     // number of the newest commit, which may not be durable yet
	pending  *group     // the next group
	idle     *group     // for nextGroup; may be nil
	writing  bool       // there is a leader
	flying   int        // bytes of the large batches of the leader's group
	room     sync.Cond  // on mu: the pending group is a new one, there is no leader, or a large batch has entered

	arrived, entered uint64 // numbers of large batches

	closeOnce sync.Once
	closeErr  error
}

// space is what is known of the space on the disk.
type space struct {
	clock       clock.Clock
	looked      atomic.Int64 // the clock.Instant of the last look at the disk; 0: never
	low, failed atomic.Bool  // the result of that look; a segment could not be created
}

// fault returns an error for an operation on a file of the store.
func (s *Store) fault(op, name string, err error) error {
	return fmt.Errorf("%s %q: %w", op, filepath.Join(s.dir, name), bare(err))
}

// damage returns an error for a file that is not what was written.
func (s *Store) damage(name string, err error) error {
	return fmt.Errorf("%w: %q: %w", store.ErrDamaged, filepath.Join(s.dir, name), err)
}

// stop stops the store because of the error, unless it has stopped already. It returns what calls return from now on.
// The caller must hold s.mu.
func (s *Store) stop(err error) error {
	if s.failure == nil {
		advice := "restore a backup"
		switch {
		case errors.Is(err, errMoved):
			advice = "do not change the directory while a process uses it"
		case !errors.Is(err, store.ErrDamaged):
			advice = remedy(s.dir, err)
		}
		s.failure = fmt.Errorf("store %q has stopped: %w: %s", s.dir, err, advice)
		s.refusal = cmp.Or(s.refusal, s.failure)
	}

	return s.failure
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.mu.Lock()
		s.refusal = store.ErrClosed
		s.mu.Unlock()
		s.cancel()
		s.running.Wait()
		s.calls.Wait()
		s.closeErr = errors.Join(s.closeFiles(), s.unlock())
	})

	return s.closeErr
}

// closeFiles closes all files and makes the ledger durable.
func (s *Store) closeFiles() (err error) {
	if s.ledger.file != nil {
		if s.failure == nil && s.ledger.acked != s.ledger.synced {
			err = s.ledger.sync()
		}
		err = errors.Join(err, s.ledger.file.Close())
	}
	for _, seg := range s.segments {
		seg.file.release()
	}
	if s.spare != nil {
		s.spare.file.release()
	}
	if s.base != nil {
		s.base.file.release()
	}

	return err
}

// unlock removes the OWNER file before it releases the lock, so that it never removes the file of a later owner.
func (s *Store) unlock() error {
	err := s.disk.Remove(ownerName)
	if errors.Is(err, fs.ErrNotExist) { // it has already been removed by hand
		err = nil
	}

	return errors.Join(err, s.held.Close(), s.disk.Close())
}

// bare returns an error of package os without the operation and the file name, which fault adds.
func bare(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	var call *os.SyscallError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	case errors.As(err, &call):
		return call.Err
	default:
		return err
	}
}

var errSegmentFull = fmt.Errorf("a file of the log cannot be larger than %d bytes", int64(maxSegment))

var _ store.Store = (*Store)(nil)
