package pebblestore

import (
	"errors"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// entries counts the entries that were added to a directory, and how many of these a sync has made durable. Removals
// are not counted: an entry that reappears after a power cut is removed again.
type entries struct{ added, durable int }

// entries returns the counts of the directory. The initial count makes the first Sync take effect, since an earlier
// process may have added entries that are not durable.
func (f *failstop) entries(dir string) *entries {
	dir = f.PathJoin(dir) // cleans the path
	e := f.dirs[dir]
	if e == nil {
		e = &entries{added: 1}
		f.dirs[dir] = e
	}

	return e
}

// added records that an entry was added to the directory of the file.
func (f *failstop) added(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entries(f.PathDir(name)).added++
}

// trust records that all entries of the directory are known to be durable.
func (f *failstop) trust(dir string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.entries(dir)
	e.durable = e.added
}

// OpenDir implements vfs.FS. It opens the directory so that it can be synced.
func (f *failstop) OpenDir(name string) (vfs.File, error) {
	dir, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}

	return &directory{file{File: dir, disk: f, name: name}}, nil
}

// directory is a directory of a failstop.
type directory struct{ file }

// Sync makes the added entries durable. It does nothing if they already are, because each sync counts when a store has
// to be opened within milliseconds.
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

// syncPath makes the directory and its parent directories durable. An earlier Open may have created them and then been
// interrupted.
func syncPath(disk *failstop, dir string) error {
	for {
		// A directory that this user may not open was not created by an Open.
		if err := syncDir(disk, dir); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
		parent := disk.PathDir(dir)
		if parent == dir {
			return nil
		}
		dir = parent
	}
}

// newSuffix ends the name of a file that is being written and will replace another one.
const newSuffix = ".new"

// replaceFile writes a file atomically: after a crash it has either its old or its new content. The new content is
// durable once the directory is synced.
func replaceFile(disk *failstop, dir, name string, content []byte) error {
	path := disk.PathJoin(dir, name)
	f, err := disk.Create(path+newSuffix, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(content)

	return errors.Join(err, f.Sync(), f.Close(), disk.Rename(path+newSuffix, path))
}
