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

// Names in the directory of a store. Only the process that holds the lock may change anything else in the directory.
const (
	lockName   = "LOCK"
	ownerName  = "OWNER"      // the process that holds the lock, for people
	stampName  = "VERSION"    // see stamp
	ledgerName = "ACKED"      // see ledger
	dbName     = "pebble"     // the database
	newName    = "pebble.new" // a database that is being created
)

// then closes a Closer and calls done.
type then struct {
	io.Closer

	done func()
}

func (t *then) Close() error {
	defer t.done()

	return t.Closer.Close()
}

// Open opens the store in the directory. It creates a missing directory with mode 0700. If the directory has mode 0770,
// all members of its group can use the files of the store. Its error is one line that says
// what to do, and wraps store.ErrLocked, store.ErrNewer, store.ErrDamaged or an error of the system. If the store is
// locked, Open returns within microseconds.
//
// An Open that fails leaves the stored data unchanged, with one exception: Pebble may detect damage to a table only
// after it has begun background work. Pebble then stops immediately, and the work it has done loses no data.
func Open(dir string, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	if err := opts.disk.MkdirAll(dir, 0o700); err != nil {
		return nil, openError(dir, err)
	}
	disk, done, err := shareable(opts.disk, dir)
	if err != nil {
		return nil, openError(dir, err)
	}
	opts.disk = disk
	held, err := lock(opts.disk, dir)
	if err != nil {
		done()

		return nil, openError(dir, err)
	}
	held = &then{held, done}
	s, err := openLocked(dir, opts, held)
	if err != nil {
		err = refusal(err, readStamp(opts.disk, dir), opts.Version)
		_ = unlock(opts.disk, dir, held) // the first error is the cause

		return nil, openError(dir, err)
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

// firstLine returns the first line of an error. Pebble's errors add details on further lines.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")

	return line
}

// ackedBefore returns the number of acknowledged commits according to the ledger, or 0 if there is no ledger.
func ackedBefore(dir string, opts Options) (uint64, error) {
	name := opts.disk.PathJoin(dir, ledgerName)
	acked, err := readLedger(opts.disk, name)
	switch {
	case errors.Is(err, errBadLedger):
		return 0, fmt.Errorf("%w: %q: %w: check the disk, then remove the file if you can accept losing the newest commits",
			store.ErrDamaged, name, err)
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	default:
		return acked, err
	}
}

// create makes the database under a temporary name and renames it when it is complete and durable. So a database with
// the final name is always complete, and create replaces whatever a crash has left under the temporary name. Later,
// openFiles makes the rename and the parent directories durable.
func create(dir string, opts Options, acked uint64) (err error) {
	if acked != 0 {
		return damaged(fmt.Sprintf("%q is missing, along with %d acknowledged commits", dbName, acked))
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
			_ = opts.disk.RemoveAll(beside) // if this fails, the next Open does it
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
		b.Set(commitsKey, run{0, 0}.encode(), nil), // commits are numbered from 1
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

// found is the format version of a database and the number of commits in it.
type found struct{ format, commits uint64 }

// inspect checks the whole database before anything in it is changed. It reads the log and the manifest. The blocks of
// the tables are checked only when they are read.
func inspect(dir string, opts Options, acked uint64) (_ found, err error) {
	place := opts.disk.PathJoin(dir, dbName)
	if err := checkPebbleFormat(opts.disk, place); err != nil {
		return found{}, err
	}
	disk, heard := newFailstop(opts.disk), newFirstError()
	disk.stop(errors.New("inspection only")) // Pebble's changes go to memory and not to the disk
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
		return found{}, unreadable(fmt.Errorf("record of commits: %w", err))
	}
	switch {
	case !all.whole() || all.first != 0:
		return found{}, damaged("commits are missing from the middle of the history")
	case all.last < acked:
		return found{}, damaged(fmt.Sprintf("the newest commits are lost: %d of %d acknowledged commits remain (to continue "+
			"without the others, remove %q)", all.last, acked, opts.disk.PathJoin(dir, ledgerName)))
	case heard.failure() != nil:
		return found{}, unreadable(heard.failure())
	}

	return found{format, all.last}, nil
}

// checkPebbleFormat distinguishes a database that only a newer Pebble can read from a damaged one.
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

// unreadable distinguishes damage from an error of the disk or the system, which says nothing about the data.
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
		return 0, damaged(fmt.Sprintf("format version has length %d instead of 8", len(value)))
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
