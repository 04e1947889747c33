package logstore

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"tenure/internal/groupdir"
)

// disk is the directory of a store. Names are those of files in it. Its methods are safe for concurrent use.
type disk interface {
	// Lock locks a file, which is created if it is missing. It returns syscall.EAGAIN if it is locked already, in this
	// process or another one.
	Lock(name string) (io.Closer, error)
	List() ([]string, error)
	// Open opens an existing file for reading and writing.
	Open(name string) (file, error)
	// Create creates a file for reading and writing. It replaces an existing one.
	Create(name string) (file, error)
	Rename(old, name string) error
	Remove(name string) error
	// Free returns the space that is left, in bytes.
	Free() (int64, error)
	// Sync makes the entries of the directory durable.
	Sync() error
	// SyncParents makes the directory itself durable.
	SyncParents() error
	Close() error
}

// file is a file on a disk.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Stat() (fs.FileInfo, error)
	// Truncate cuts the file off at a size.
	Truncate(size int64) error
	// Sync makes the content and the size of the file durable.
	Sync() error
}

// osDisk is a directory of the operating system.
type osDisk struct {
	dir    *groupdir.Dir
	at     string      // absolute
	locked os.FileInfo // the file that Lock has locked; nil if the system does not tell
}

// openDisk opens a directory, which it creates with mode 0700 if it is missing.
func openDisk(path string) (disk, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	dir, err := groupdir.Open(path)
	if err != nil {
		return nil, err
	}

	return &osDisk{dir: dir, at: path}, nil
}

func (d *osDisk) Lock(name string) (io.Closer, error) {
	held, info, err := lockFile(d.dir, d.at, name)
	d.locked = info

	return held, err
}

func (d *osDisk) List() ([]string, error) {
	f, err := d.dir.Root().Open(".")
	if err != nil {
		return nil, err
	}
	names, err := f.Readdirnames(-1)

	return names, errors.Join(err, f.Close())
}

func (d *osDisk) Open(name string) (file, error) {
	f, err := groupdir.OpenRegular(d.dir.Root(), name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}

	return osFile{f}, nil
}

func (d *osDisk) Create(name string) (file, error) {
	f, err := d.dir.Create(name)
	if err != nil {
		return nil, err
	}

	return osFile{f}, nil
}

func (d *osDisk) Rename(old, name string) error { return d.dir.Root().Rename(old, name) }

func (d *osDisk) Remove(name string) error { return d.dir.Root().Remove(name) }

func (d *osDisk) Free() (int64, error) { return freeSpace(d.at) }

func (d *osDisk) Sync() error { return syncDir(d.at) }

func (d *osDisk) SyncParents() error {
	dir := d.at
	for parent := filepath.Dir(dir); parent != dir; dir, parent = parent, filepath.Dir(parent) {
		// A directory that this user may not open was not created by an Open.
		if err := syncDir(parent); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}

	return nil
}

func (d *osDisk) Close() error { return d.dir.Close() }
