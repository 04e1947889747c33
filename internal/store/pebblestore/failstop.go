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

// failstop is a file system that stops for good at the first change of the disk that fails: from then on the disk
// stays as it is, as if the machine had lost its power.
//
// Pebble answers a failed write with a panic that leaves its locks held, with the end of the process, or with endless
// retries. So it never sees one. After the stop its changes succeed and go nowhere: files that it makes are in memory,
// writes to files that it had are dropped. Pebble stays sound and can be closed. Whoever acknowledges what Pebble has
// written must ask for the failure first.
type failstop struct {
	vfs.FS
	*firstError            // what has stopped it
	shadow      *vfs.MemFS // files that are not on the disk, all in one directory

	mu      sync.Mutex // guards all that follows
	dirs    map[string]*entries
	made    []string // files that undo removes
	lasting bool     // what is made from now on is not for undo
}

func newFailstop(disk vfs.FS) *failstop {
	return &failstop{FS: disk, firstError: newFirstError(), shadow: vfs.NewMem(), dirs: make(map[string]*entries)}
}

// firstError keeps the first error that it gets. Safe for concurrent use.
type firstError struct {
	once sync.Once
	set  chan struct{} // closed by stop
	err  error         // does not change once set is closed
}

func newFirstError() *firstError { return &firstError{set: make(chan struct{})} }

func (f *firstError) stop(err error) {
	f.once.Do(func() {
		f.err = err
		close(f.set)
	})
}

// stopped says whether there is an error.
func (f *firstError) stopped() bool {
	select {
	case <-f.set:
		return true
	default:
		return false
	}
}

// failure returns the error, nil if there is none yet.
func (f *firstError) failure() error {
	if f.stopped() {
		return f.err
	}

	return nil
}

// change makes a change of the disk and says whether it was made.
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

// bare takes from an error of package os what change says anyway.
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

// open opens a file for writing, on the disk or in memory.
func (f *failstop) open(op, name string, do func() (vfs.File, error)) (vfs.File, error) {
	var onDisk vfs.File
	if f.change(op, name, func() (err error) { onDisk, err = do(); return err }) {
		f.added(name)

		return &file{File: onDisk, disk: f, name: name}, nil
	}

	return f.shadow.OpenReadWrite(f.shadowed(name), vfs.WriteCategoryUnspecified)
}

// isMarker says whether the file is a marker. Pebble moves from one manifest to the next by a marker, an empty file
// named for the manifest: it makes the new marker, removes the old one, then syncs the directory. That counts on a
// directory that keeps the order of its changes, which not all do; so the manifest is durable here before its marker is
// made, and the marker before the one that it replaces is removed.
func (f *failstop) isMarker(name string) bool { return strings.HasPrefix(f.PathBase(name), "marker.") }

// Create makes a file. Pebble's options never reach the disk: they tell with which options the database was written,
// which its formatVersion does as well, and would cost every Open two syncs.
func (f *failstop) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(f.PathBase(name), "temporary.") { // renamed when written
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

// note notes for undo that the file was made, or perhaps in part. What a marker names stays, so once there is a marker
// there is nothing to undo.
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

// keep leaves nothing to undo, and nothing that is made from now on.
func (f *failstop) keep() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.made, f.lasting = nil, true
}

// undo removes from the disk what was made there, so that who tries to open a store on a full disk, again and again,
// does not fill it further.
func (f *failstop) undo() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range f.made {
		_ = f.FS.Remove(name) // it does no harm
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

// Remove returns errors to its caller: what should be gone and is not does no harm, and Pebble tries again.
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

// inMemory says whether the file is not on the disk.
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

// Lock does nothing: the store's own lock is held (see lock).
func (f *failstop) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// GetDiskUsage keeps Pebble from asking now and then; it has no use for the answer here.
func (f *failstop) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{}, vfs.ErrUnsupported
}

func (f *failstop) Unwrap() vfs.FS { return f.FS }

// file is a file or directory of a failstop that was opened before the stop.
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

// Preallocate is a wish: if it is not granted, the writes will tell.
func (f *file) Preallocate(offset, length int64) error {
	if f.disk.stopped() {
		return nil
	}

	return preallocate(f.File, offset, length)
}

// Close closes the file after the stop too.
func (f *file) Close() error {
	if err := f.File.Close(); err != nil {
		f.disk.stop(fmt.Errorf("close %q: %w", f.name, bare(err)))
	}

	return nil
}
