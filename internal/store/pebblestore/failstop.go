package pebblestore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// failstop is a file system that stops permanently when a change of the disk fails. From then on it leaves the disk
// unchanged, as if the machine had lost power.
//
// Pebble reacts to a failed write by panicking with its locks held, by ending the process or by retrying forever. So
// failstop hides failures from it. After the stop, Pebble's changes succeed but do not reach the disk: files that it
// creates exist only in memory, and writes to files that are already open are discarded. Pebble remains consistent and
// can be closed. Code that acknowledges a write of Pebble must first check that there was no failure.
type failstop struct {
	vfs.FS
	*firstError            // the error that has stopped it
	shadow      *vfs.MemFS // files that exist only in memory, all in one directory

	mu      sync.Mutex          // guards all fields below
	dirs    map[string]*entries // by cleaned path
	made    []string            // new files that undo removes
	lasting bool                // undo keeps files that are created from now on
}

func newFailstop(disk vfs.FS) *failstop {
	return &failstop{FS: disk, firstError: newFirstError(), shadow: vfs.NewMem(), dirs: make(map[string]*entries)}
}

// firstError keeps the first error that it is given. It is safe for concurrent use.
type firstError struct {
	once sync.Once
	set  chan struct{} // closed by stop
	err  error         // constant once set is closed
}

func newFirstError() *firstError { return &firstError{set: make(chan struct{})} }

func (f *firstError) stop(err error) {
	f.once.Do(func() {
		f.err = err
		close(f.set)
	})
}

// stopped reports whether there is an error.
func (f *firstError) stopped() bool {
	select {
	case <-f.set:
		return true
	default:
		return false
	}
}

// failure returns the error, or nil if there is none yet.
func (f *firstError) failure() error {
	if f.stopped() {
		return f.err
	}

	return nil
}

// change changes the disk by calling do, unless f has stopped. It stops f if do fails. It reports whether the change
// was made.
func (f *failstop) change(op, name string, do func() error) bool {
	if f.stopped() {
		return false
	}
	if err := do(); err != nil {
		f.stop(fmt.Errorf("%s %q: %w", op, name, bare(err)))

		return false
	}

	return true
}

// bare returns an error of package os without the operation and the file name, which change adds.
func bare(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	default:
		return err
	}
}

func (f *failstop) shadowed(name string) string {
	return strings.ReplaceAll(name, string(os.PathSeparator), "|")
}

// open opens a file for writing: by calling do, or in memory if f has stopped.
func (f *failstop) open(op, name string, do func() (vfs.File, error)) (vfs.File, error) {
	var onDisk vfs.File
	if f.change(op, name, func() (err error) { onDisk, err = do(); return err }) {
		f.added(name)

		return &file{File: onDisk, disk: f, name: name}, nil
	}

	return f.shadow.OpenReadWrite(f.shadowed(name), vfs.WriteCategoryUnspecified)
}

// isMarker reports whether the file is a marker. A marker is an empty file whose name contains a value, such as the
// name of the current manifest. To switch to a new manifest, Pebble creates the new marker, removes the old one, and
// then syncs the directory. That is safe only if the file system keeps the order of changes to a directory, which not
// all do. So failstop makes the manifest durable before it creates the marker, and the new marker durable before it
// removes the old one.
func (f *failstop) isMarker(name string) bool { return strings.HasPrefix(f.PathBase(name), "marker.") }

// Create implements vfs.FS. Pebble's OPTIONS file never reaches the disk: it records the options of the database, which
// follow from formatVersion anyway, and would cost every Open two syncs.
func (f *failstop) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(f.PathBase(name), "temporary.") { // Pebble renames it to OPTIONS-* when it is complete
		return f.shadow.Create(f.shadowed(name), c)
	}
	if f.isMarker(name) {
		if err := syncDir(f, f.PathDir(name)); err != nil {
			return nil, err
		}
	}

	return f.open("create", name, func() (vfs.File, error) {
		made, err := f.FS.Create(name, c)
		f.note(name)

		return made, err
	})
}

// note records for undo that the file was created, even if only in part. Once a marker exists, the files that it refers
// to must stay, so nothing is left to undo.
func (f *failstop) note(name string) {
	if f.isMarker(name) {
		if _, err := f.FS.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			f.keep()
		}

		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.lasting {
		f.made = append(f.made, name)
	}
}

// keep makes undo a no-op: it neither removes existing files nor files that are created from now on.
func (f *failstop) keep() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.made, f.lasting = nil, true
}

// undo removes the created files from the disk, so that repeated attempts to open a store on a full disk do not fill it
// further.
func (f *failstop) undo() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range f.made {
		_ = f.FS.Remove(name) // a file that stays does no harm
	}
	f.made = nil
}

func (f *failstop) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.open("open", name, func() (vfs.File, error) { return f.FS.OpenReadWrite(name, c, opts...) })
}

func (f *failstop) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open("rename", old, func() (vfs.File, error) { return f.FS.ReuseForWrite(old, name, c) })
}

func (f *failstop) Rename(old, name string) error {
	switch {
	case f.inMemory(old):
		return f.shadow.Rename(f.shadowed(old), f.shadowed(name))
	case f.change("rename", old, func() error { return f.FS.Rename(old, name) }):
		f.added(name)
	}

	return nil
}

func (f *failstop) Link(old, name string) error {
	if f.change("link", old, func() error { return f.FS.Link(old, name) }) {
		f.added(name)
	}

	return nil
}

func (f *failstop) MkdirAll(name string, perm os.FileMode) error {
	if _, err := f.FS.Stat(name); err == nil {
		return nil
	}
	if f.change("mkdir", name, func() error { return f.FS.MkdirAll(name, perm) }) {
		f.added(name)
	}

	return nil
}

// Remove implements vfs.FS. An error does not stop f: a file that was not removed does no harm, and Pebble tries again.
func (f *failstop) Remove(name string) error {
	switch {
	case f.inMemory(name):
		return f.shadow.Remove(f.shadowed(name))
	case f.isMarker(name):
		if err := syncDir(f, f.PathDir(name)); err != nil {
			return err
		}
	}
	if f.stopped() {
		return nil
	}

	return f.FS.Remove(name)
}

func (f *failstop) RemoveAll(name string) error {
	if f.stopped() {
		return nil
	}

	return f.FS.RemoveAll(name)
}

// inMemory reports whether the file exists only in memory.
func (f *failstop) inMemory(name string) bool {
	_, err := f.shadow.Stat(f.shadowed(name))

	return err == nil
}

func (f *failstop) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if f.inMemory(name) {
		return f.shadow.Open(f.shadowed(name))
	}

	return f.FS.Open(name, opts...)
}

func (f *failstop) Stat(name string) (vfs.FileInfo, error) {
	if f.inMemory(name) {
		return f.shadow.Stat(f.shadowed(name))
	}

	return f.FS.Stat(name)
}

// Lock does nothing, since the store's own lock is held (see lock).
func (f *failstop) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// GetDiskUsage returns an error so that Pebble does not poll the disk usage, which nothing here needs.
func (f *failstop) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{}, vfs.ErrUnsupported
}

func (f *failstop) Unwrap() vfs.FS { return f.FS }

// file is a file or a directory that a failstop opened before it stopped.
type file struct {
	vfs.File
	disk *failstop
	name string
}

func (f *file) Write(p []byte) (int, error) {
	f.disk.change("write", f.name, func() error { _, err := f.File.Write(p); return err })

	return len(p), nil
}

func (f *file) WriteAt(p []byte, at int64) (int, error) {
	f.disk.change("write", f.name, func() error { _, err := f.File.WriteAt(p, at); return err })

	return len(p), nil
}

func (f *file) Sync() error {
	f.disk.change("sync", f.name, f.File.Sync)

	return nil
}

func (f *file) SyncData() error {
	f.disk.change("sync", f.name, f.File.SyncData)

	return nil
}

func (f *file) SyncTo(length int64) (full bool, err error) {
	f.disk.change("sync", f.name, func() (err error) { full, err = f.File.SyncTo(length); return err })

	return full, nil
}

// Preallocate implements vfs.File. Its error does not stop the failstop: if space is short, a later write fails.
func (f *file) Preallocate(offset, length int64) error {
	if f.disk.stopped() {
		return nil
	}

	return preallocate(f.File, offset, length)
}

// Close closes the file, even after the stop.
func (f *file) Close() error {
	if err := f.File.Close(); err != nil {
		f.disk.stop(fmt.Errorf("close %q: %w", f.name, bare(err)))
	}

	return nil
}
