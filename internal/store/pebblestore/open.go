package pebblestore

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
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
	ledgerName = "ACKED"      // see ledger
	dbName     = "pebble"     // the database
	newName    = "pebble.new" // a database that is being made
)

// formatVersion is the version of the keys, the values and the files. A store with a newer one is refused; one with an
// older one is read as it is, for ever.
const formatVersion = 1

// Open opens the store in the directory, which it makes, with mode 0700, if there is none. Errors wrap
// store.ErrLocked, store.ErrNewer and store.ErrDamaged; then what is stored is as it was. (A table's damage may be met
// only when Pebble has begun to tidy up. It stops at once, and what it has done until then loses nothing.)
func Open(dir string, opts Options) (_ *Store, err error) {
	opts = opts.withDefaults()
	if err := opts.disk.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open store %q: %w", dir, err)
	}
	held, err := lock(opts.disk, dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, unlock(opts.disk, dir, held))
		}
	}()

	acked, err := ackedBefore(dir, opts)
	if err != nil {
		return nil, err
	}
	switch _, err := opts.disk.Stat(opts.disk.PathJoin(dir, dbName)); {
	case errors.Is(err, fs.ErrNotExist) && acked == 0:
		if err := create(dir, opts); err != nil {
			return nil, fmt.Errorf("create store %q: %w", dir, err)
		}
	case errors.Is(err, fs.ErrNotExist):
		return nil, damaged(dir, fmt.Sprintf("%q is gone, with %d acknowledged commits", dbName, acked))
	case err != nil:
		return nil, fmt.Errorf("open store %q: %w", dir, err)
	}
	commits, err := inspect(dir, opts, acked)
	if err != nil {
		return nil, err
	}

	return open(dir, opts, held, commits)
}

// damaged is the error for a store that is not what was written.
func damaged(dir, what string) error {
	return fmt.Errorf("open store %q: %w: %s: restore a backup, or move the directory away to begin anew",
		dir, store.ErrDamaged, what)
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
		return 0, fmt.Errorf("open store %q: %w: %q: %w: check the disk, then remove the file if newest commits may be lost",
			dir, store.ErrDamaged, name, err)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return 0, fmt.Errorf("open store %q: %w", dir, err)
	default:
		return acked, nil
	}
}

// create makes the database beside its place and moves it there when it is whole and durable. So a database in its
// place lacks nothing, and what a crash leaves of one is made anew.
func create(dir string, opts Options) error {
	disk := newFailstop(opts.disk)
	beside := disk.PathJoin(dir, newName)
	if err := disk.RemoveAll(beside); err != nil {
		return err
	}
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
	)
	l, ledgerErr := newLedger(disk, dir, 0)
	if ledgerErr == nil {
		ledgerErr = l.close()
	}
	if err = cmp.Or(disk.failure(), err, ledgerErr); err != nil {
		return err
	}

	return cmp.Or(disk.Rename(beside, disk.PathJoin(dir, dbName)), syncPath(disk, dir), disk.failure())
}

// syncPath makes the directory durable, and the way to it: an earlier Open may have made it and have been cut off.
func syncPath(disk *failstop, dir string) error {
	for {
		if err := syncDir(disk, dir); err != nil && !errors.Is(err, fs.ErrPermission) { // not ours, so not made by us
			return err
		}
		parent := disk.PathDir(dir)
		if parent == dir {
			return nil
		}
		dir = parent
	}
}

func syncDir(disk *failstop, dir string) error {
	d, err := disk.OpenDir(dir)
	if err != nil {
		return err
	}

	return errors.Join(d.Sync(), d.Close())
}

// inspect looks at the whole database before anything in it is changed, and returns how many commits it has. It reads
// the log and the manifest; the tables' blocks are checked when they are read.
func inspect(dir string, opts Options, acked uint64) (commits uint64, err error) {
	place := opts.disk.PathJoin(dir, dbName)
	if err := checkPebbleFormat(dir, opts.disk, place); err != nil {
		return 0, err
	}
	disk, heard := newFailstop(opts.disk), newFirstError()
	disk.stop(errors.New("inspected only")) // whatever Pebble may do, it does to its shadow
	pebbleOpts := opts.pebble(disk, heard.stop)
	pebbleOpts.ReadOnly = true
	db, err := pebble.Open(place, pebbleOpts)
	if err != nil {
		return 0, unreadable(dir, err)
	}
	defer func() { err = cmp.Or(err, db.Close()) }()

	if err := checkFormat(dir, db); err != nil {
		return 0, err
	}
	all, err := commitsOf(db)
	if err != nil {
		return 0, unreadable(dir, fmt.Errorf("run of commits: %w", err))
	}
	switch {
	case !all.whole() || all.first != 0:
		return 0, damaged(dir, "commits are missing from the middle")
	case all.last < acked:
		return 0, damaged(dir, fmt.Sprintf("the newest commits are lost: %d are there, %d were acknowledged (to go on "+
			"without them, remove %q)", all.last, acked, opts.disk.PathJoin(dir, ledgerName)))
	case heard.failure() != nil:
		return 0, unreadable(dir, heard.failure())
	}

	return all.last, nil
}

// checkPebbleFormat tells a database that only a newer Pebble reads from one that nobody reads.
func checkPebbleFormat(dir string, disk vfs.FS, place string) error {
	text, err := atomicfs.ReadMarker(disk, place, "format-version")
	if err != nil {
		return unreadable(dir, err)
	}
	if v, err := strconv.ParseUint(text, 10, 32); err == nil && v > uint64(pebble.FormatNewest) {
		return newer(dir, fmt.Sprintf("Pebble's format %d, this tenure reads up to %d", v, pebble.FormatNewest))
	}

	return nil
}

func newer(dir, which string) error {
	return fmt.Errorf("open store %q: %w: %s: run the version that wrote it, or a later one", dir, store.ErrNewer, which)
}

// unreadable tells damage from a disk or a system that does not let us read what may well be whole.
func unreadable(dir string, err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) && errno != syscall.ENOENT {
		return fmt.Errorf("open store %q: %w", dir, err)
	}

	return damaged(dir, firstLine(err))
}

func checkFormat(dir string, db *pebble.DB) error {
	value, closer, err := db.Get(formatKey)
	if err != nil {
		return unreadable(dir, fmt.Errorf("format version: %w", err))
	}
	defer closer.Close()
	if len(value) != 8 {
		return damaged(dir, fmt.Sprintf("format version has %d bytes in place of 8", len(value)))
	}
	if format := binary.BigEndian.Uint64(value); format != formatVersion {
		if format == 0 {
			return damaged(dir, "format version is 0")
		}

		return newer(dir, fmt.Sprintf("format %d, this tenure reads up to %d", format, formatVersion))
	}

	return nil
}

func commitsOf(db *pebble.DB) (run, error) {
	value, closer, err := db.Get(commitsKey)
	if err != nil {
		return run{}, err
	}
	defer closer.Close()

	return decodeRun(value), nil
}
