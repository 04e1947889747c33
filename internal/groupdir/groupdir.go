// Package groupdir creates files in a directory that the members of a group may share.
//
// A shared directory has mode 0770, with or without the setgid bit. All members of its group may use every file in it,
// so each file gets the group of the directory and mode 0660, and each subdirectory mode 0770. This does not depend on
// the umask, which the package does not change, because other threads and child processes use it too. A file gets its
// name only when it has its final group and mode. So a process that is killed in between does not lock the others out.
//
// In a directory with another mode, files have mode 0600.
//
// All names are relative to the directory. A symbolic link never leads out of it, so a member of the group cannot make
// the process of another member change a file elsewhere.
package groupdir

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"strings"
	"syscall"
)

const (
	private = 0o700
	file    = 0o660
	folder  = 0o770
)

// Shared reports whether the mode is that of a shared directory.
func Shared(mode fs.FileMode) bool {
	return mode.IsDir() && mode.Perm() == folder && mode&(fs.ModeSetuid|fs.ModeSticky) == 0
}

// A Dir is an open directory. Its methods are safe for concurrent use.
type Dir struct {
	root *os.Root
	gid  int         // the group that shares the directory; -1 if it is not shared
	mode fs.FileMode // of subdirectories
}

// Open opens the directory.
func Open(name string) (*Dir, error) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	info, err := root.Stat(".")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	d := &Dir{root: root, gid: -1, mode: private}
	if _, gid := owner(info); Shared(info.Mode()) && gid >= 0 {
		d.gid, d.mode = gid, folder|info.Mode()&fs.ModeSetgid
	}

	return d, nil
}

// Shared reports whether the members of a group share the directory.
func (d *Dir) Shared() bool { return d.gid >= 0 }

// Root returns the directory for operations that create nothing.
func (d *Dir) Root() *os.Root { return d.root }

// Close closes the directory.
func (d *Dir) Close() error { return d.root.Close() }

// errIrregular is the error for a FIFO, a socket or a device in the place of a file.
var errIrregular = errors.New("it is not a regular file")

// OpenRegular opens a file in a directory. It refuses everything but a regular file, and does not wait for the other
// end of a FIFO.
func OpenRegular(root *os.Root, name string, flag int, mode fs.FileMode) (*os.File, error) {
	f, err := root.OpenFile(name, flag|nonblock, mode)
	if errors.Is(err, syscall.ENXIO) { // a socket, or a FIFO without a reader
		return nil, &fs.PathError{Op: "open", Path: name, Err: errIrregular}
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: errIrregular}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}

	return f, nil
}

// OpenFile opens the file for reading and writing, and creates it if it is missing. It refuses what is not a regular
// file.
func (d *Dir) OpenFile(name string) (*os.File, error) {
	if !d.Shared() {
		return OpenRegular(d.root, name, os.O_RDWR|os.O_CREATE, 0o600)
	}
	for {
		f, err := OpenRegular(d.root, name, os.O_RDWR, 0)
		if !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
		f, err = d.create(name, d.root.Link)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}

// Create creates the file for reading and writing. It replaces an existing file with a new one.
func (d *Dir) Create(name string) (*os.File, error) { return d.create(name, d.root.Rename) }

// create makes a file under a temporary name, and calls place to give it its name.
func (d *Dir) create(name string, place func(old, name string) error) (_ *os.File, err error) {
	made := temporaryName(name)
	f, err := d.root.OpenFile(made, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err = errors.Join(d.Grant(made), place(made, name)); err != nil {
		_ = f.Close()
		f = nil
	}
	_ = d.root.Remove(made) // fails after a rename

	return f, err
}

// Mkdir makes a subdirectory, unless it exists.
func (d *Dir) Mkdir(name string) error {
	if err := d.isDir(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	made := name
	if d.Shared() {
		made = temporaryName(name)
	}
	err := d.root.Mkdir(made, private)
	if err == nil && d.Shared() {
		if err = errors.Join(d.Grant(made), d.root.Rename(made, name)); err != nil {
			_ = d.root.Remove(made)
		}
	}
	if err != nil && d.isDir(name) == nil {
		return nil // another process has just made it
	}

	return err
}

// isDir returns nil if the name is that of a directory.
func (d *Dir) isDir(name string) error {
	info, err := d.root.Stat(name)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
	}

	return err
}

// temporary begins the names of files that do not have their final group and mode yet.
const temporary = "new-"

func temporaryName(name string) string {
	return path.Join(path.Dir(name), fmt.Sprintf("%s%08x", temporary, rand.Uint32()))
}

// Grant gives the group of a shared directory access to a file that this process has made, such as a socket. It does
// nothing if the directory is not shared.
func (d *Dir) Grant(name string) error {
	if !d.Shared() {
		return nil
	}
	info, err := d.root.Lstat(name)
	if err != nil {
		return err
	}
	mode := fs.FileMode(file)
	if info.IsDir() {
		mode = d.mode
	}

	// In this order, because a change of the group resets the setgid bit.
	return errors.Join(d.root.Lchown(name, -1, d.gid), d.root.Chmod(name, mode))
}

// skip returns the value with which the function of fs.WalkDir leaves out an entry.
func skip(e fs.DirEntry) error {
	if e.IsDir() {
		return fs.SkipDir
	}

	return nil
}

// A ClosedError reports a file in a shared directory that the group cannot use, and that this process must not change.
type ClosedError struct {
	Name string // in the directory
	UID  int    // its owner
}

func (e *ClosedError) Error() string {
	return fmt.Sprintf("%q in it belongs to user %d and is closed to the group", e.Name, e.UID)
}

// Repair gives the group of a shared directory access to all files in it that belong to this user. The files may have
// been made before the directory was shared. It returns a ClosedError if such a file belongs to another user. It does
// nothing if the directory is not shared.
func (d *Dir) Repair() error {
	if !d.Shared() {
		return nil
	}

	return fs.WalkDir(d.root.FS(), ".", func(name string, e fs.DirEntry, walkErr error) error {
		switch {
		case name == ".":
			return walkErr
		case strings.HasPrefix(path.Base(name), temporary): // another process is about to rename it
			return skip(e)
		}
		info, err := d.root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) { // another process has removed it
			return nil
		}
		if err != nil || !info.Mode().IsRegular() && !info.IsDir() {
			return err
		}
		uid, gid := owner(info)
		want := fs.FileMode(file)
		if info.IsDir() {
			want = folder
		}
		switch {
		case gid == d.gid && info.Mode().Perm()&want == want:
			return walkErr
		case uid != os.Geteuid(), !info.IsDir() && links(info) > 1: // a link may lead to any file of this user
			return &ClosedError{name, uid}
		}
		if err := d.Grant(name); !errors.Is(err, fs.ErrNotExist) {
			return err
		}

		return nil
	})
}
