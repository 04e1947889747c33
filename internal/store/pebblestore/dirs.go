package pebblestore

import (
	"errors"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// entries counts what was added to a directory, and how much of that a sync has made durable. Removals are not counted:
// what should be gone and comes back after a power cut is removed again.
type entries struct{ added, durable int }

// entries returns the counts of the directory. What an earlier process added may not be durable, so there is something
// to sync at first.
func (f *failstop) entries(dir string) *entries {
	dir = f.PathJoin(dir) // however it was spelt
	e := f.dirs[dir]
	if e == nil {
		e = &entries{added: 1}
		f.dirs[dir] = e
	}

	return e
}

// added says that the directory of the file has an entry more.
func (f *failstop) added(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entries(f.PathDir(name)).added++
}

// trust says that all that is in the directory is known to be durable.
func (f *failstop) trust(dir string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.entries(dir)
	e.durable = e.added
}

// OpenDir returns the directory for a Sync.
func (f *failstop) OpenDir(name string) (vfs.File, error) {
	dir, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}

	return &directory{file{File: dir, disk: f, name: name}}, nil
}

// directory is a directory of a failstop.
type directory struct{ file }

// Sync makes what was added durable. It is nothing to do if a sync has done so already: each one counts when a store
// has to be opened within milliseconds.
func (d *directory) Sync() error {
	d.disk.mu.Lock()
	e := d.disk.entries(d.name)
	added, durable := e.added, e.durable
	d.disk.mu.Unlock()
	if added == durable || !d.disk.change("sync", d.name, d.File.Sync) {
		return nil
	}
	d.disk.mu.Lock()
	defer d.disk.mu.Unlock()
	e.durable = max(e.durable, added)

	return nil
}

func syncDir(disk *failstop, dir string) error {
	d, err := disk.OpenDir(dir)
	if err != nil {
		return err
	}

	return errors.Join(d.Sync(), d.Close())
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

// newSuffix ends the name of a file that is being written, to replace another one.
const newSuffix = ".new"

// replaceFile writes a file that is there as a whole or not at all. It stays when the directory is synced.
func replaceFile(disk *failstop, dir, name string, content []byte) error {
	path := disk.PathJoin(dir, name)
	f, err := disk.Create(path+newSuffix, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(content)

	return errors.Join(err, f.Sync(), f.Close(), disk.Rename(path+newSuffix, path))
}
