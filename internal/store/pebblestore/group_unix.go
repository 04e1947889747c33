//go:build unix

package pebblestore

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"

	"tenure/internal/groupdir"
)

// shareable returns the disk for a store in the directory, which exists. If the members of a group share the directory,
// all files of the store can be used by them. Otherwise it is disk itself. The caller must call done in the end.
func shareable(disk vfs.FS, dir string) (_ vfs.FS, done func(), err error) {
	if _, ok := disk.(osFS); !ok { // a test
		return disk, func() {}, nil
	}
	in, err := groupdir.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	if !in.Shared() {
		return disk, func() {}, in.Close()
	}

	return &groupFS{disk, in, dir}, func() { _ = in.Close() }, nil
}

// groupFS is a file system with a directory that the members of a group share. See package groupdir. Outside of the
// directory it only opens directories, so that they can be synced.
type groupFS struct {
	vfs.FS

	in   *groupdir.Dir
	path string
}

// within returns the name relative to the directory.
func (g *groupFS) within(name string) string {
	if rel, err := filepath.Rel(g.path, name); err == nil {
		return rel
	}

	return name // an absolute name, which in refuses
}

func opened(f *os.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}

	return groupFile{f}, nil
}

func (g *groupFS) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	return opened(g.in.Create(g.within(name)))
}

func (g *groupFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := opened(g.in.Root().Open(g.within(name)))
	if err == nil {
		for _, opt := range opts {
			opt.Apply(f)
		}
	}

	return f, err
}

func (g *groupFS) OpenReadWrite(name string, _ vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := opened(g.in.OpenFile(g.within(name)))
	if err == nil {
		for _, opt := range opts {
			opt.Apply(f)
		}
	}

	return f, err
}

func (g *groupFS) OpenDir(name string) (vfs.File, error) {
	if rel := g.within(name); rel != ".." && !strings.HasPrefix(rel, "../") {
		return opened(g.in.Root().Open(rel))
	}

	return g.FS.OpenDir(name)
}

func (g *groupFS) Link(old, name string) error {
	return g.in.Root().Link(g.within(old), g.within(name))
}

func (g *groupFS) Remove(name string) error { return g.in.Root().Remove(g.within(name)) }

func (g *groupFS) RemoveAll(name string) error { return g.in.Root().RemoveAll(g.within(name)) }

func (g *groupFS) Rename(old, name string) error {
	return g.in.Root().Rename(g.within(old), g.within(name))
}

func (g *groupFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := g.Rename(old, name); err != nil {
		return nil, err
	}

	return g.OpenReadWrite(name, c)
}

func (g *groupFS) MkdirAll(name string, _ os.FileMode) error {
	if rel := g.within(name); rel != "." {
		return g.in.Mkdir(rel) // its parent exists
	}

	return nil
}

func (g *groupFS) List(name string) ([]string, error) {
	f, err := g.in.Root().Open(g.within(name))
	if err != nil {
		return nil, err
	}
	names, err := f.Readdirnames(-1)

	return names, errors.Join(err, f.Close())
}

func (g *groupFS) Stat(name string) (vfs.FileInfo, error) {
	info, err := g.in.Root().Stat(g.within(name))
	if err != nil {
		return nil, err
	}

	return groupInfo{info}, nil
}

// Lock locks the file with flock(2), as osFS does.
func (g *groupFS) Lock(name string) (io.Closer, error) {
	f, err := g.in.OpenFile(g.within(name))
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return nil, errors.Join(err, f.Close())
		default:
			return f, nil
		}
	}
}

func (g *groupFS) Unwrap() vfs.FS { return g.FS }

// groupFile is a file or a directory of a groupFS.
type groupFile struct{ *os.File }

func (f groupFile) Stat() (vfs.FileInfo, error) {
	info, err := f.File.Stat()
	if err != nil {
		return nil, err
	}

	return groupInfo{info}, nil
}

func (f groupFile) SyncData() error { return syncData(f.File) }

func (f groupFile) SyncTo(int64) (full bool, err error) { return true, f.SyncData() }

func (groupFile) Preallocate(int64, int64) error { return nil } // see preallocate

func (groupFile) Prefetch(int64, int64) error { return nil }

// groupInfo adds a device that is always the same. Pebble uses devices only for stores on several of them.
type groupInfo struct{ fs.FileInfo }

func (groupInfo) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }
