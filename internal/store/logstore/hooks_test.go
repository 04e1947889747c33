package logstore

import (
	"io"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
)

// hookedDisk calls a function before each operation on a disk, including those that change nothing. If the function
// returns an error, the operation fails.
type hookedDisk struct {
	disk

	before func(op, name string) error
	files  sync.Map // the open file that was created last with a name
}

// hooked returns the options with a hooked disk.
func hooked(opts Options, before func(op, name string) error) Options {
	open := opts.open
	opts.open = func(dir string) (disk, error) {
		if err := before("mkdir", dir); err != nil {
			return nil, &fs.PathError{Op: "mkdir", Path: dir, Err: err}
		}
		d, err := open(dir)

		return &hookedDisk{disk: d, before: before}, err
	}

	return opts
}

func (d *hookedDisk) call(op, name string) error {
	if err := d.before(op, name); err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}

	return nil
}

func (d *hookedDisk) hooked(f file, err error, name string) (file, error) {
	if err != nil {
		return nil, err
	}

	h := &hookedFile{file: f, disk: d}
	h.name.Store(&name)
	d.files.Store(name, h)

	return h, nil
}

func (d *hookedDisk) Lock(name string) (io.Closer, error) {
	if err := d.call("lock", name); err != nil {
		return nil, err
	}

	return d.disk.Lock(name)
}

func (d *hookedDisk) List() ([]string, error) {
	if err := d.call("list", ""); err != nil {
		return nil, err
	}

	return d.disk.List()
}

func (d *hookedDisk) Open(name string) (file, error) {
	if err := d.call("open", name); err != nil {
		return nil, err
	}
	f, err := d.disk.Open(name)

	return d.hooked(f, err, name)
}

func (d *hookedDisk) Create(name string) (file, error) {
	if err := d.call("create", name); err != nil {
		return nil, err
	}
	f, err := d.disk.Create(name)

	return d.hooked(f, err, name)
}

func (d *hookedDisk) Rename(old, name string) error {
	if err := d.call("rename", name); err != nil {
		return err
	}

	if f, ok := d.files.Load(old); ok {
		f.(*hookedFile).name.Store(&name)
	}

	return d.disk.Rename(old, name)
}

func (d *hookedDisk) Remove(name string) error {
	if err := d.call("remove", name); err != nil {
		return err
	}

	return d.disk.Remove(name)
}

func (d *hookedDisk) Sync() error {
	if err := d.call("sync", ""); err != nil {
		return err
	}

	return d.disk.Sync()
}

func (d *hookedDisk) SyncParents() error {
	if err := d.call("sync", ".."); err != nil {
		return err
	}

	return d.disk.SyncParents()
}

type hookedFile struct {
	file

	disk *hookedDisk
	name atomic.Pointer[string]
}

func (f *hookedFile) ReadAt(p []byte, at int64) (int, error) {
	if err := f.disk.call("read", *f.name.Load()); err != nil {
		return 0, err
	}

	return f.file.ReadAt(p, at)
}

func (f *hookedFile) WriteAt(p []byte, at int64) (int, error) {
	if err := f.disk.call("write", *f.name.Load()); err != nil {
		return 0, err
	}

	return f.file.WriteAt(p, at)
}

func (f *hookedFile) Truncate(size int64) error {
	if err := f.disk.call("truncate", *f.name.Load()); err != nil {
		return err
	}

	return f.file.Truncate(size)
}

func (f *hookedFile) Stat() (fs.FileInfo, error) {
	if err := f.disk.call("stat", *f.name.Load()); err != nil {
		return nil, err
	}

	return f.file.Stat()
}

func (f *hookedFile) Sync() error {
	if err := f.disk.call("sync", *f.name.Load()); err != nil {
		return err
	}

	return f.file.Sync()
}

// failing makes operations of the kind on files with such a name fail with err while on is set.
type failing struct {
	op, suffix string
	err        error
	on         atomic.Bool
	hits       atomic.Int64
}

func (f *failing) before(op, name string) error {
	if op != f.op || !strings.HasSuffix(name, f.suffix) || !f.on.Load() {
		return nil
	}
	f.hits.Add(1)

	return f.err
}
