package pebblestore

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"

	"tenure/internal/store"
)

// What is in the directory of a store. Only who has the lock may touch the rest.
const (
	lockName   = "LOCK"
	ownerName  = "OWNER"      // who has the lock, for people
	stampName  = "VERSION"    // see stamp
	ledgerName = "ACKED"      // see ledger
	dbName     = "pebble"     // the database
	newName    = "pebble.new" // a database that is being made
)

// Open opens the store in the directory, which it makes, with mode 0700, if there is none. Errors wrap
// store.ErrLocked, store.ErrNewer and store.ErrDamaged, or what the system said, and tell in one line what to do; then
// what is stored is as it was. (A table's damage may be met only when Pebble has begun to tidy up. It stops at once,
// and what it has done until then loses nothing.) That the store is locked is known within microseconds.
func Open(dir string, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	if err := opts.disk.MkdirAll(dir, 0o700); err != nil {
		return nil, openError(dir, err)
	}
	held, err := lock(opts.disk, dir)
	if err != nil {
		return nil, openError(dir, err)
	}
	s, err := openLocked(dir, opts, held)
	if err != nil {
		_ = unlock(opts.disk, dir, held) // the first error says it all

		return nil, openError(dir, refusal(err, readStamp(opts.disk, dir), opts.Version))
	}

	return s, nil
}

func openLocked(dir string, opts Options, held io.Closer) (*Store, error) {
	acked, err := ackedBefore(dir, opts)
	if err != nil {
		return nil, err
	}
	switch _, err := opts.disk.Stat(opts.disk.PathJoin(dir, dbName)); {
	case errors.Is(err, fs.ErrNotExist):
		if err := create(dir, opts, acked); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	}
	found, err := inspect(dir, opts, acked)
	if err != nil {
		return nil, err
	}
	restamp(opts.disk, dir, stamp{found.format, opts.Version}, opts.Logger)

	return open(dir, opts, held, acked, found.commits)
}

// firstLine leaves out what Pebble's errors add for their own reports.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")

	return line
}

// ackedBefore returns the number of commits that were acknowledged, as far as the ledger knows.
func ackedBefore(dir string, opts Options) (uint64, error) {
	name := opts.disk.PathJoin(dir, ledgerName)
	acked, err := readLedger(opts.disk, name)
	switch {
	case errors.Is(err, errBadLedger):
		return 0, fmt.Errorf("%w: %q: %w: check the disk, then remove the file if newest commits may be lost",
			store.ErrDamaged, name, err)
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	default:
		return acked, err
	}
}

// create makes the database beside its place and moves it there when it is whole and durable. So a database in its
// place lacks nothing, and what a crash leaves of one is made anew. Open makes the way to it durable.
func create(dir string, opts Options, acked uint64) (err error) {
	if acked != 0 {
		return damaged(fmt.Sprintf("%q is gone, with %d acknowledged commits", dbName, acked))
	}
	if s := readStamp(opts.disk, dir); s.format > formatVersion {
		return newerFormat{ownFormat, s.format, formatVersion}
	}
	disk := newFailstop(opts.disk)
	beside := disk.PathJoin(dir, newName)
	if err := disk.RemoveAll(beside); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = opts.disk.RemoveAll(beside) // the next Open tries again
			_ = opts.disk.Remove(disk.PathJoin(dir, stampName+newSuffix))
		}
	}()
	pebbleOpts := opts.pebble(disk, disk.stop)
	pebbleOpts.ErrorIfNotExists, pebbleOpts.ErrorIfExists = false, true
	db, err := pebble.Open(beside, pebbleOpts)
	if err != nil {
		return cmp.Or(disk.failure(), err)
	}
	b := db.NewBatch()
	err = errors.Join(
		b.Set(formatKey, binary.BigEndian.AppendUint64(nil, formatVersion), nil),
		b.Set(commitsKey, run{0, 0}.encode(), nil), // there is no commit 0
		b.Commit(pebble.Sync),
		db.Close(),
		replaceFile(disk, dir, stampName, stamp{formatVersion, opts.Version}.line()),
		syncDir(disk, dir),
	)
	if err = cmp.Or(disk.failure(), err); err != nil {
		return err
	}

	return cmp.Or(disk.Rename(beside, disk.PathJoin(dir, dbName)), disk.failure())
}

// found is what a database has.
type found struct{ format, commits uint64 }

// inspect looks at the whole database before anything in it is changed. It reads the log and the manifest; the tables'
// blocks are checked when they are read.
func inspect(dir string, opts Options, acked uint64) (_ found, err error) {
	place := opts.disk.PathJoin(dir, dbName)
	if err := checkPebbleFormat(opts.disk, place); err != nil {
		return found{}, err
	}
	disk, heard := newFailstop(opts.disk), newFirstError()
	disk.stop(errors.New("inspected only")) // whatever Pebble may do, it does to its shadow
	pebbleOpts := opts.pebble(disk, heard.stop)
	pebbleOpts.ReadOnly = true
	db, err := pebble.Open(place, pebbleOpts)
	if err != nil {
		return found{}, unreadable(err)
	}
	defer func() { err = cmp.Or(err, db.Close()) }()

	format, err := formatOf(db)
	if err != nil {
		return found{}, err
	}
	all, err := commitsOf(db)
	if err != nil {
		return found{}, unreadable(fmt.Errorf("run of commits: %w", err))
	}
	switch {
	case !all.whole() || all.first != 0:
		return found{}, damaged("commits are missing from the middle")
	case all.last < acked:
		return found{}, damaged(fmt.Sprintf("the newest commits are lost: %d are there, %d were acknowledged (to go on "+
			"without them, remove %q)", all.last, acked, opts.disk.PathJoin(dir, ledgerName)))
	case heard.failure() != nil:
		return found{}, unreadable(heard.failure())
	}

	return found{format, all.last}, nil
}

// checkPebbleFormat tells a database that only a newer Pebble reads from one that nobody reads.
func checkPebbleFormat(disk vfs.FS, place string) error {
	text, err := atomicfs.ReadMarker(disk, place, "format-version")
	if err != nil {
		return unreadable(err)
	}
	if v, err := strconv.ParseUint(text, 10, 32); err == nil && v > uint64(pebble.FormatNewest) {
		return newerFormat{pebblesFormat, v, uint64(pebble.FormatNewest)}
	}

	return nil
}

// unreadable tells damage from a disk or a system that does not let us read what may well be whole.
func unreadable(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) && errno != syscall.ENOENT {
		return err
	}

	return damaged(firstLine(err))
}

func formatOf(db *pebble.DB) (uint64, error) {
	value, closer, err := db.Get(formatKey)
	if err != nil {
		return 0, unreadable(fmt.Errorf("format version: %w", err))
	}
	defer closer.Close()
	if len(value) != 8 {
		return 0, damaged(fmt.Sprintf("format version has %d bytes in place of 8", len(value)))
	}
	switch format := binary.BigEndian.Uint64(value); {
	case format == 0:
		return 0, damaged("format version is 0")
	case format > formatVersion:
		return 0, newerFormat{ownFormat, format, formatVersion}
	default:
		return format, nil
	}
}

func commitsOf(db *pebble.DB) (run, error) {
	value, closer, err := db.Get(commitsKey)
	if err != nil {
		return run{}, err
	}
	defer closer.Close()

	return decodeRun(value), nil
}
