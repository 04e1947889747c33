package logstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"tenure/internal/clock"
	"tenure/internal/store"
)

// Names in the directory of a store, beside those of segments and snapshots. Only the process that holds the lock may
// change anything else in the directory.
const (
	LockName   = "LOCK"    // locked by the process that has the store open
	ownerName  = "OWNER"   // the process that holds the lock, for people
	stampName  = "VERSION" // see stamp
	ledgerName = "ACKED"   // see ledger
	olderName  = "pebble"  // what a store of format 1 has instead of a log

	newSuffix = ".new" // ends the name of a file that is being written
)

// firstSize is the largest size of the first segment. Zeroing a large one would delay the first Open.
const firstSize = 64 << 10

// Open opens the store in the directory. It creates a missing directory with mode 0700. If the directory has mode 0770,
// all members of its group can use the files of the store. Its error is one line that says what to do, and wraps
// store.ErrLocked, store.ErrOlder, store.ErrNewer, store.ErrDamaged or an error of the system. If the store is locked,
// Open returns within microseconds.
//
// An Open that fails leaves the stored data unchanged.
func Open(dir string, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	d, err := opts.open(dir)
	if err != nil {
		return nil, openError(dir, err)
	}
	s := &Store{
		dir: dir, opts: opts, disk: d, pending: new(group),
		preparing: make(chan struct{}, 1), tidying: make(chan struct{}, 1),
	}
	s.room.L, s.space.clock = &s.mu, clock.Go()
	if s.held, err = s.lock(); err != nil {
		_ = d.Close()

		return nil, openError(dir, err)
	}
	leftovers, err := s.recover()
	if err != nil {
		err = refusal(err, readStamp(d), opts.Version)
		_ = s.closeFiles()
		_ = s.unlock() // the first error is the cause

		return nil, openError(dir, err)
	}
	opts.Logger.DebugContext(context.Background(), "opened the log",
		"directory", dir, "commits", s.commits, "segments", len(s.segments))
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	wake(s.preparing)
	wake(s.tidying)
	s.running.Go(func() {
		s.discard(leftovers) // before the names of unfinished files are used again
		s.running.Go(func() { s.prepare(ctx) })
		s.tidy(ctx)
	})

	return s, nil
}

// recover opens the files of the store, or creates them, and reads the log. It returns the names of files that nobody
// needs. If it fails, the caller must call closeFiles.
func (s *Store) recover() (leftovers []string, err error) {
	names, err := s.disk.List()
	if err != nil {
		return nil, s.fault("read", "", err)
	}
	found := sortOut(names)
	acked, err := s.openLedger(names)
	if err != nil {
		return nil, err
	}
	if len(found.segments) == 0 && len(found.snapshots) == 0 {
		if slices.Contains(names, olderName) {
			return nil, olderFormat{1}
		}
		if err := s.create(acked); err != nil {
			return nil, err
		}
		found.segments = []uint64{1}
	}
	if err := s.openBase(found); err != nil {
		return nil, err
	}
	dirty, err := s.replay(acked)
	if err != nil {
		return nil, err
	}

	if err := s.settle(acked, dirty); err != nil {
		return nil, err
	}
	if err := s.raise(); err != nil {
		return nil, err
	}

	return s.makeRoom(found.leftovers)
}

// found has the numbers of the segments and snapshots in a directory, ascending, and the names of files that no process
// will need. A snapshot replaces older files, but they may still be there.
type found struct {
	segments, snapshots []uint64
	leftovers           []string
}

func sortOut(names []string) (f found) {
	for _, name := range names {
		if n, ok := segmentKind.number(name); ok {
			f.segments = append(f.segments, n)
		} else if n, ok := snapshotKind.number(name); ok {
			f.snapshots = append(f.snapshots, n)
		} else if whole, ok := strings.CutSuffix(name, newSuffix); ok {
			_, seg := segmentKind.number(whole)
			_, snap := snapshotKind.number(whole)
			if seg || snap || whole == stampName || whole == ledgerName {
				f.leftovers = append(f.leftovers, name)
			}
		}
	}
	slices.Sort(f.segments)
	slices.Sort(f.snapshots)
	if n := len(f.snapshots); n > 0 {
		newest := f.snapshots[n-1]
		for _, old := range f.snapshots[:n-1] {
			f.leftovers = append(f.leftovers, snapshotKind.name(old))
		}
		f.snapshots = f.snapshots[n-1:]
		for len(f.segments) > 0 && f.segments[0] <= newest {
			f.leftovers = append(f.leftovers, segmentKind.name(f.segments[0]))
			f.segments = f.segments[1:]
		}
	}

	return f
}

// openLedger opens the ledger if there is one. It returns the number of acknowledged commits, or 0.
func (s *Store) openLedger(names []string) (uint64, error) {
	if !slices.Contains(names, ledgerName) {
		return 0, nil
	}
	f, err := s.disk.Open(ledgerName)
	if err != nil {
		return 0, s.fault("open", ledgerName, err)
	}
	acked, err := readLedger(f)
	s.ledger = ledger{file: f, acked: acked}
	switch {
	case errors.Is(err, errBadLedger):
		return 0, fmt.Errorf("%w: %q: %w: check the disk, then remove the file if you can accept losing the newest commits",
			store.ErrDamaged, filepath.Join(s.dir, ledgerName), err)
	case err != nil:
		return 0, s.fault("read", ledgerName, err)
	default:
		return acked, nil
	}
}

// create creates the files of an empty store. The store exists when its first segment has its name.
func (s *Store) create(acked uint64) error {
	if acked != 0 {
		return damaged(fmt.Sprintf("the log is missing, along with %d acknowledged commits", acked))
	}
	if st := readStamp(s.disk); st.format > formatVersion {
		return newerFormat{st.format}
	}
	err := replaceFile(s.disk, stampName, stamp{formatVersion, s.opts.Version}.line())
	if err != nil {
		return s.fault("write", stampName, err)
	}
	name := segmentKind.name(1)
	seg, err := s.createSegment(context.Background(), 1, min(firstSize, s.opts.LogSize))
	if err != nil {
		return s.fault("create", name, err)
	}
	seg.file.release()

	return nil
}

// openBase opens the snapshot and the segments after it, and checks that none is missing.
func (s *Store) openBase(f found) error {
	next := uint64(1)
	if len(f.snapshots) > 0 {
		number := f.snapshots[0]
		name := snapshotKind.name(number)
		opened, err := s.disk.Open(name)
		if err != nil {
			return s.fault("open", name, err)
		}
		shared := share(opened, name)
		if s.base, err = readSnapshot(number, shared); err != nil {
			shared.release()

			return s.unreadable(name, err)
		}
		next, s.commits = number+1, s.base.commits
	}
	if len(f.segments) == 0 && s.ledger.file == nil { // Create has written it; a store that was open has a ledger
		seg, err := s.createSegment(context.Background(), next, min(firstSize, s.opts.LogSize))
		if err != nil {
			return s.fault("create", segmentKind.name(next), err)
		}
		seg.file.release()
		f.segments = []uint64{next}
	}
	for _, number := range f.segments {
		if number != next {
			break
		}
		name := segmentKind.name(number)
		opened, err := s.disk.Open(name)
		if err != nil {
			return s.fault("open", name, err)
		}
		seg := newSegment(number, 0, share(opened, name), 0)
		s.segments = append(s.segments, seg)
		info, err := opened.Stat()
		if err == nil {
			seg.size = info.Size()
			seg.format, seg.salt, err = segmentKind.check(opened, number)
		}
		if err != nil {
			return s.unreadable(name, err)
		}
		next++
	}
	if len(s.segments) == 0 || len(s.segments) < len(f.segments) {
		return damaged(fmt.Sprintf("%q is missing", filepath.Join(s.dir, segmentKind.name(next))))
	}

	return nil
}

// unreadable returns the error for a file that cannot be read. An error of the system says nothing about the data.
func (s *Store) unreadable(name string, err error) error {
	switch {
	case errors.As(err, new(newerFormat)):
		return err
	case isDamage(err):
		return damaged(fmt.Sprintf("%q: %v", filepath.Join(s.dir, name), err))
	default:
		return s.fault("read", name, err)
	}
}

// replay reads the log. Afterwards the newest segment is the one with the newest commit. It returns, for this segment
// and the ones after it, where the remains of commits end that the death of a process or of the machine has
// interrupted.
func (s *Store) replay(acked uint64) (dirty []int64, err error) {
	buf := make([]byte, scanSize)
	newest := 0
	for i, seg := range s.segments {
		last, err := seg.replay(s.commits, buf)
		if err != nil {
			return nil, s.unreadable(seg.file.name, err)
		}
		if last > s.commits {
			newest, s.commits = i, last
		}
	}
	for _, seg := range s.segments[newest:] {
		end, durable, err := seg.rest(s.commits+1, buf)
		switch {
		case err != nil:
			return nil, s.unreadable(seg.file.name, err)
		case durable:
			return nil, damaged(fmt.Sprintf("%q: commit %d is broken, and later ones follow",
				filepath.Join(s.dir, s.segments[newest].file.name), s.commits+1))
		}
		dirty = append(dirty, end)
	}
	if s.commits < acked {
		return nil, damaged(fmt.Sprintf("the newest commits are lost: %d of %d acknowledged commits remain (to continue "+
			"without the others, remove %q)", s.commits, acked, filepath.Join(s.dir, ledgerName)))
	}
	spares := s.segments[newest+1:]
	s.segments = s.segments[:newest+1]
	for i, seg := range spares {
		if i == 0 {
			s.spare = seg
		} else {
			seg.file.release() // impossible, but harmless
		}
	}

	return dirty, nil
}

// settle makes the disk agree with what replay has found: the remains of interrupted commits are gone, and everything
// else is durable, because the process that wrote it may have died before its sync.
func (s *Store) settle(acked uint64, dirty []int64) error {
	newest := s.segments[len(s.segments)-1]
	for i, seg := range []*segment{newest, s.spare} {
		if seg == nil {
			continue
		}
		err := seg.clear(dirty[i])
		if err == nil {
			err = seg.rewrite()
		}
		if err == nil && (i == 0 || dirty[i] > 0) {
			err = seg.file.Sync()
		}
		if err != nil {
			return s.fault("write", seg.file.name, err)
		}
	}
	if err := s.settleLedger(acked); err != nil {
		return s.fault("write", ledgerName, err)
	}
	if err := s.disk.Sync(); err != nil {
		return s.fault("sync", "", err)
	}
	if acked == 0 { // the Open that created the store may have been interrupted
		if err := s.disk.SyncParents(); err != nil {
			return s.fault("sync", "..", err)
		}
	}
	restamp(s.disk, stamp{formatVersion, s.opts.Version}, s.opts.Logger)

	return nil
}

// raise makes the store one of this format, before it can get records that an older version cannot read. An older
// version checks the headers of all segments, so it then refuses the store. The spare segment is replaced by one of
// this format. The other files keep their headers until they are merged.
func (s *Store) raise() error {
	newest := s.segments[len(s.segments)-1]
	if newest.format == formatVersion || s.spare != nil && s.spare.format == formatVersion {
		return nil
	}
	if s.spare != nil {
		s.spare.file.release()
		s.spare = nil
	}
	var err error
	s.spare, err = s.createSegment(context.Background(), newest.number+1, min(firstSize, s.opts.LogSize))
	if err != nil {
		return s.fault("create", segmentKind.name(newest.number+1), err)
	}

	return nil
}

// makeRoom creates a spare segment if there is hardly any space for commits, which is rare. Otherwise Open would
// succeed on a full disk, and the first commit would stop the store. It returns the leftovers that still exist.
func (s *Store) makeRoom(leftovers []string) ([]string, error) {
	newest, size := s.segments[len(s.segments)-1], min(firstSize, s.opts.LogSize)
	if s.spare != nil || newest.size-newest.end >= size/2 {
		return leftovers, nil
	}
	s.discard(leftovers) // they may take the space that the segment needs
	var err error
	if s.spare, err = s.createSegment(context.Background(), newest.number+1, size); err != nil {
		return nil, s.fault("create", segmentKind.name(newest.number+1), err)
	}

	return nil, nil
}

// settleLedger raises the count of the ledger to that of the log, and makes it durable. Otherwise the counts that
// several killed processes left behind would add up, and a power cut would set the ledger back by more than syncEvery
// commits.
func (s *Store) settleLedger(acked uint64) error {
	if s.ledger.file == nil {
		err := replaceFile(s.disk, ledgerName, appendCount(nil, s.commits))
		if err != nil {
			return err
		}
		if s.ledger.file, err = s.disk.Open(ledgerName); err != nil {
			return err
		}
	}
	var err error
	if s.commits > acked {
		err = s.ledger.write(s.commits)
	}

	return cmp.Or(err, s.ledger.sync())
}

// replaceFile writes a file atomically: after a crash it has either its old or its new content. The new content is
// durable once the directory is synced.
func replaceFile(d disk, name string, content []byte) error {
	f, err := d.Create(name + newSuffix)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = d.Rename(name+newSuffix, name)
	}
	if err != nil {
		_ = d.Remove(name + newSuffix) // it takes space on a disk that may be full
	}

	return err
}
