package logstore

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// memDisk is a disk in memory. It knows what is durable, and so can show what is left after a power cut.
type memDisk struct {
	mu      sync.Mutex // guards all fields below, and those of the files
	entries map[string]*memFile
	durable map[string]*memFile // entries at the last Sync
	changes []entryChange       // of entries since then
	locked  bool
	free    int64 // 0: there is much
}

func (d *memDisk) Free() (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.free == 0 {
		return math.MaxInt64, nil
	}

	return d.free, nil
}

// entryChange is a change of the directory, which takes place as a whole or not at all.
type entryChange struct {
	removes, adds string // "" for none
	file          *memFile
}

func (c entryChange) apply(entries map[string]*memFile) {
	delete(entries, c.removes)
	if c.adds != "" {
		entries[c.adds] = c.file
	}
}

type memFile struct {
	content []byte
	durable []byte // content at the last Sync
	writes  []memWrite
}

type memWrite struct {
	at   int64
	data []byte // nil: the file was cut off
}

// apply applies the write, which is durable.
func (w memWrite) apply(content []byte) []byte {
	if w.data == nil {
		return content[:min(w.at, int64(len(content)))]
	}

	return overwrite(content, w.data, w.at)
}

func newMemDisk() *memDisk {
	return &memDisk{entries: make(map[string]*memFile), durable: make(map[string]*memFile)}
}

// change is an operation that changes the disk.
type change struct{ op, name string }

func (c change) String() string { return fmt.Sprintf("%s %q", c.op, c.name) }

// options returns options for a store on the disk. before is called before each change, and the change fails with the
// error that it returns. It may be nil.
func (d *memDisk) options(before func(change) error) Options {
	if before == nil {
		before = func(change) error { return nil }
	}

	return Options{
		Version: "v0.4.0", LogSize: 4 << 10,
		open: func(string) (disk, error) { return &memView{d, before}, nil },
		salt: func() uint32 { return testSalt },
	}
}

// testSalt is the salt of the segments on a memDisk.
const testSalt = 0x04030201

// sectorSize is the unit of which a disk writes all or nothing.
const sectorSize = 512

// cut returns the disk after a power cut. Each sector and each change of the directory that is not durable survives
// with the probability. If it is 1, the disk is the one after the mere death of the process.
func (d *memDisk) cut(survives float64, rng *rand.Rand) *memDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	lucky := func() bool { return survives == 1 || survives > 0 && rng.Float64() < survives }
	entries := maps.Clone(d.durable)
	for _, c := range d.changes {
		if lucky() {
			c.apply(entries)
		}
	}
	after, copies := newMemDisk(), make(map[*memFile]*memFile)
	for _, name := range slices.Sorted(maps.Keys(entries)) { // the random numbers of a seed have an order
		f := entries[name]
		if copies[f] == nil {
			content := slices.Clone(f.durable)
			for _, w := range f.writes {
				content = w.torn(content, lucky)
			}
			copies[f] = &memFile{content: content, durable: slices.Clone(content)}
		}
		after.entries[name], after.durable[name] = copies[f], copies[f]
	}

	return after
}

// torn applies those sectors of the write that are lucky.
func (w memWrite) torn(content []byte, lucky func() bool) []byte {
	if w.data == nil && lucky() {
		return w.apply(content)
	}
	for at, rest := w.at, w.data; len(rest) > 0; {
		n := min(sectorSize-at%sectorSize, int64(len(rest)))
		if lucky() {
			content = overwrite(content, rest[:n], at)
		}
		at, rest = at+n, rest[n:]
	}

	return content
}

func overwrite(content, with []byte, at int64) []byte {
	if missing := int(at) + len(with) - len(content); missing > 0 {
		content = append(content, make([]byte, missing)...)
	}
	copy(content[at:], with)

	return content
}

// image returns the contents of the files, except those of the LOCK and OWNER files.
func (d *memDisk) image() image {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make(image)
	for name, f := range d.entries {
		if name != LockName && name != ownerName {
			all[name] = slices.Clone(f.content)
		}
	}

	return all
}

// image holds the contents of files.
type image map[string][]byte

func (img image) disk() *memDisk {
	d := newMemDisk()
	for name, content := range img {
		f := &memFile{content: slices.Clone(content), durable: slices.Clone(content)}
		d.entries[name], d.durable[name] = f, f
	}

	return d
}

// memView is a memDisk as a store sees it.
type memView struct {
	*memDisk

	before func(change) error
}

func (v *memView) change(op, name string, do func() error) error {
	if err := v.before(change{op, name}); err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := do(); err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}

	return nil
}

func (v *memView) Lock(string) (io.Closer, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.locked {
		return nil, syscall.EAGAIN
	}
	v.locked = true

	return memLock{v.memDisk}, nil
}

type memLock struct{ disk *memDisk }

func (l memLock) Close() error {
	l.disk.mu.Lock()
	defer l.disk.mu.Unlock()
	l.disk.locked = false

	return nil
}

func (v *memView) List() ([]string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()

	return slices.Collect(maps.Keys(v.entries)), nil
}

func (v *memView) Open(name string) (file, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f := v.entries[name]
	if f == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
	}

	return &memHandle{v, f, name}, nil
}

func (v *memView) Create(name string) (file, error) {
	f := new(memFile)
	err := v.change("create", name, func() error {
		v.alter(entryChange{adds: name, file: f})

		return nil
	})
	if err != nil {
		return nil, err
	}

	return &memHandle{v, f, name}, nil
}

// alter changes the directory. The caller must hold v.mu.
func (v *memView) alter(c entryChange) {
	c.apply(v.entries)
	v.changes = append(v.changes, c)
}

func (v *memView) Rename(old, name string) error {
	return v.change("rename", old, func() error {
		f := v.entries[old]
		if f == nil {
			return syscall.ENOENT
		}
		v.alter(entryChange{removes: old, adds: name, file: f})

		return nil
	})
}

func (v *memView) Remove(name string) error {
	return v.change("remove", name, func() error {
		if v.entries[name] == nil {
			return syscall.ENOENT
		}
		v.alter(entryChange{removes: name})

		return nil
	})
}

func (v *memView) Sync() error {
	return v.change("sync", "", func() error {
		v.durable, v.changes = maps.Clone(v.entries), nil

		return nil
	})
}

func (*memView) SyncParents() error { return nil }

func (*memView) Close() error { return nil }

// memHandle is an open file.
type memHandle struct {
	view *memView
	f    *memFile
	name string
}

func (h *memHandle) ReadAt(p []byte, at int64) (int, error) {
	h.view.mu.Lock()
	defer h.view.mu.Unlock()
	if at >= int64(len(h.f.content)) {
		return 0, io.EOF
	}
	n := copy(p, h.f.content[at:])
	if n < len(p) {
		return n, io.EOF
	}

	return n, nil
}

func (h *memHandle) WriteAt(p []byte, at int64) (int, error) {
	err := h.view.change("write", h.name, func() error {
		h.f.content = overwrite(h.f.content, p, at)
		h.f.writes = append(h.f.writes, memWrite{at, bytes.Clone(p)})

		return nil
	})
	if err != nil {
		return 0, err
	}

	return len(p), nil
}

func (h *memHandle) Truncate(size int64) error {
	return h.view.change("truncate", h.name, func() error {
		w := memWrite{at: size}
		h.f.content = w.apply(h.f.content)
		h.f.writes = append(h.f.writes, w)

		return nil
	})
}

func (h *memHandle) Sync() error {
	return h.view.change("sync", h.name, func() error {
		for _, w := range h.f.writes {
			h.f.durable = w.apply(h.f.durable)
		}
		h.f.writes = nil

		return nil
	})
}

func (h *memHandle) Stat() (fs.FileInfo, error) {
	h.view.mu.Lock()
	defer h.view.mu.Unlock()

	return memInfo{h.name, int64(len(h.f.content))}, nil
}

func (*memHandle) Close() error { return nil }

type memInfo struct {
	name string
	size int64
}

func (i memInfo) Name() string     { return i.name }
func (i memInfo) Size() int64      { return i.size }
func (memInfo) Mode() os.FileMode  { return 0o600 }
func (memInfo) ModTime() time.Time { return time.Time{} }
func (memInfo) IsDir() bool        { return false }
func (memInfo) Sys() any           { return nil }
