package logstore

import (
	"errors"
	"fmt"
	"slices"

	"tenure/internal/store"
)

// Creation writes a new store. It consists of one snapshot until it is opened, so that it exists completely or not at
// all, also after a crash.
type Creation struct {
	store *Store
	file  file
	w     *snapshotWriter
	last  store.Space
}

// creationNumber is the number of the snapshot of a new store.
const creationNumber = 1

// ErrNotEmpty reports that the directory of a new store has other files. The error that wraps it names one of them.
var ErrNotEmpty = errors.New("the directory is not empty")

// Create begins to write a store in a directory, which must be empty or missing. A missing one is created with mode
// 0700. The caller must call Finish or Abort.
func Create(dir string, opts Options) (*Creation, error) {
	opts = opts.withDefaults()
	d, err := opts.open(dir)
	if err != nil {
		return nil, openError(dir, err)
	}
	c := &Creation{store: &Store{dir: dir, opts: opts, disk: d}}
	if err := c.lock(); err != nil {
		_ = d.Close()

		return nil, createError(dir, err)
	}
	if err := c.begin(); err != nil {
		c.Abort()

		return nil, createError(dir, err)
	}

	return c, nil
}

func createError(dir string, err error) error {
	if errors.Is(err, ErrNotEmpty) {
		return fmt.Errorf("%q: %w: choose an empty directory, or one that does not exist", dir, err)
	}

	return openError(dir, err)
}

// lock locks the directory. If the directory belongs to something else, lock leaves nothing in it.
func (c *Creation) lock() error {
	names, err := c.store.disk.List()
	if err != nil {
		return c.store.fault("read", "", err)
	}
	if !slices.Contains(names, LockName) {
		if err := c.checkEmpty(names); err != nil {
			return err
		}
	}
	c.store.held, err = c.store.lock()

	return err
}

func (c *Creation) checkEmpty(names []string) error {
	harmless := []string{LockName, ownerName, "lost+found", c.name() + newSuffix}
	for _, name := range names {
		if !slices.Contains(harmless, name) {
			return fmt.Errorf("%w: it has %q", ErrNotEmpty, name)
		}
	}

	return nil
}

func (c *Creation) begin() error {
	names, err := c.store.disk.List()
	if err != nil {
		return c.store.fault("read", "", err)
	}
	if err := c.checkEmpty(names); err != nil {
		return err
	}
	if c.file, err = c.store.disk.Create(c.name() + newSuffix); err == nil {
		c.w, err = newSnapshotWriter(c.file, creationNumber)
	}
	if err != nil {
		return c.store.fault("write", c.name()+newSuffix, err)
	}

	return nil
}

func (c *Creation) name() string { return snapshotKind.name(creationNumber) }

// Add adds a record. The records must come in order of their spaces, and in byte order of the keys within a space.
func (c *Creation) Add(r store.Record) error {
	var err error
	if r.Space != c.last {
		err = c.w.end(c.last)
		c.last = r.Space
	}
	if err == nil {
		err = c.w.add(r.Record)
	}
	if err != nil {
		return c.failed(err)
	}

	return nil
}

// Finish makes the store durable, and ends the creation. After an error there is no store.
func (c *Creation) Finish() error {
	err := c.w.end(c.last)
	if err == nil {
		err = c.w.finish(1)
	}
	if err = install(c.store.disk, c.file, c.name(), err); err != nil {
		c.file = nil
		err = c.failed(err)
		c.Abort()

		return err
	}
	err = errors.Join(c.file.Close(), c.store.disk.SyncParents())
	c.file = nil

	return errors.Join(err, c.store.unlock())
}

func (c *Creation) failed(err error) error {
	return openError(c.store.dir, c.store.fault("write", c.name()+newSuffix, err))
}

// Abort ends the creation. There is no store then.
func (c *Creation) Abort() {
	if c.file != nil {
		_ = c.file.Close()
		_ = c.store.disk.Remove(c.name() + newSuffix)
	}
	_ = c.store.unlock() // there is nothing to lose
}
