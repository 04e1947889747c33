package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tenure/internal/printable"
	"tenure/internal/trust"
)

// A disk is what the system tells about the disk of a directory.
type disk struct {
	kind           string // of the file system; empty: the system tells nothing
	network        bool   // it is on another machine, or may be
	memory         bool   // it is lost when this machine starts again
	free, inodes   uint64 // for this user; inodes are math.MaxUint64 if the file system has no limit
	inodesReported bool
}

// What a directory needs. The store keeps a part of the disk for deletions, and its files are up to 64 MiB.
const (
	enoughSpace  = 256 << 20
	littleSpace  = 32 << 20
	enoughInodes = 1000
	littleInodes = 100
)

// fuse is the kind of a file system that a program provides.
const fuse = "FUSE"

// syncs is how often a Directory is synced to measure the time that this takes.
const syncs = 10

// A Directory is one that a server keeps its data in.
type Directory struct {
	Check   string        // "state directory" or "data directory"
	Path    string        // absolute
	Choose  string        // the flag that chooses another one, such as "--dir"
	Timeout time.Duration // session timeout

	// Sync writes to the directory and syncs it. It returns the time that this took. It is SyncTime, except in tests.
	Sync func(dir string) (time.Duration, error)
}

// Lines checks the directory. A missing one is not created: the one above it is checked instead.
func (d Directory) Lines() []Line {
	at, exists := d.Path, true
	for {
		info, err := os.Stat(at)
		if err == nil && !info.IsDir() {
			return []Line{d.bad(at+" is not a directory", "choose another directory with "+d.Choose)}
		}
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || filepath.Dir(at) == at {
			return []Line{d.bad(err.Error(), "choose another directory with "+d.Choose)}
		}
		at, exists = filepath.Dir(at), false
	}
	where := d.Path
	if !exists {
		where += " does not exist yet, and " + at
	}
	var lines []Line
	if err := trust.Path(d.Path); err != nil && !errors.As(err, new(*fs.PathError)) {
		lines = append(lines, d.bad(d.Path+" is not safe: "+err.Error(), "or choose another directory with "+d.Choose))
	}
	on, err := diskOf(at)
	if err != nil {
		return append(lines, d.bad(err.Error(), "choose another directory with "+d.Choose))
	}
	lines = append(lines, d.fileSystem(where, on))
	if on.kind != "" {
		lines = append(lines, d.space(at, on))
	}

	return append(lines, d.sync(at))
}

func (d Directory) bad(found, do string) Line {
	return Line{Check: d.Check, Result: Bad, Found: printable.Text(found), Do: do}
}

// fileSystem checks the kind of the file system.
func (d Directory) fileSystem(where string, on disk) Line {
	l := ok(d.Check, "%s is on a local disk (%s)", printable.Text(where), on.kind)
	switch {
	case on.kind == "":
		l.Found = printable.Text(where) + " is on a disk whose kind the system does not tell"
	case on.network:
		l = d.bad(fmt.Sprintf("%s is on a network file system (%s), which may give up file locks while their owner is alive",
			where, on.kind), "choose a directory on a local disk with "+d.Choose)
	case on.kind == fuse:
		l.Result = Warn
		l.Found = where + " is on a file system that a program provides (FUSE), perhaps from another machine"
		l.Do = "make sure that it is on this machine, or choose another directory with " + d.Choose
	case on.memory:
		l.Result = Warn
		l.Found = fmt.Sprintf("%s is in memory (%s), so everything is lost when this machine starts again",
			printable.Text(where), on.kind)
		l.Do = "choose a directory on a disk with " + d.Choose
	}

	return l
}

// space checks the free space.
func (d Directory) space(at string, on disk) Line {
	l := Line{Check: "disk space", Result: OK, Found: fmt.Sprintf("%s has %s free", printable.Text(at), size(on.free))}
	if on.inodesReported {
		l.Found += fmt.Sprintf(" and room for %d files", on.inodes)
	}
	switch {
	case on.free < littleSpace, on.inodesReported && on.inodes < littleInodes:
		l.Result = Bad
	case on.free < enoughSpace, on.inodesReported && on.inodes < enoughInodes:
		l.Result = Warn
	}
	if l.Result != OK {
		l.Do = "make room on this disk, or choose a directory on another one with " + d.Choose
	}

	return l
}

func size(n uint64) string {
	const gib, mib = 1 << 30, 1 << 20
	if n >= 10*gib {
		return fmt.Sprintf("%d GiB", n/gib)
	}

	return fmt.Sprintf("%d MiB", n/mib)
}

// sync checks how long it takes to write durably, which the server does before it answers.
func (d Directory) sync(at string) Line {
	const check = "disk sync"
	times := make([]time.Duration, 0, syncs)
	for range syncs {
		took, err := d.Sync(at)
		if err != nil {
			if path, ok := errors.AsType[*fs.PathError](err); ok {
				err = path.Err
			}

			return Line{
				Check: check, Result: Bad, Found: printable.Text(fmt.Sprintf("cannot write in %s: %v", at, err)),
				Do: "change its owner or mode, make room on the disk, or choose another directory with " + d.Choose,
			}
		}
		times = append(times, took)
	}
	slices.Sort(times)
	worst := times[len(times)-1]
	l := ok(check, "a durable write takes %v to %v", round(times[0]), round(worst))
	if worst >= d.Timeout/20 {
		l.Result = Warn
		l.Found += fmt.Sprintf(", which is long for the timeout of %v", d.Timeout)
		l.Do = "choose a directory on a faster disk with " + d.Choose + ", or use a longer --timeout"
	}
	if worst >= d.Timeout/4 {
		l.Result = Bad
	}

	return l
}

// SyncTime returns a function that measures a durable write by the clock.
func SyncTime(now func() time.Duration) func(dir string) (time.Duration, error) {
	return func(dir string) (took time.Duration, err error) {
		f, err := os.CreateTemp(dir, ".doctor-*")
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
		began := now()
		if _, err := f.Write(make([]byte, 4<<10)); err != nil {
			return 0, err
		}
		err = f.Sync()

		return now() - began, err
	}
}
