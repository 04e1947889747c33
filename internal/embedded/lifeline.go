package embedded

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tenure/internal/clock"
	"tenure/internal/groupdir"
)

// Lifeline is a locked file that shows the host whether any process can still work under a session. The kernel unlocks
// the file when the last process that has it open ends.
type Lifeline struct {
	file *os.File
	path string
}

// Lifeline creates and locks the lifeline of the session with the protection key. The caller must start the session
// only after that (E3), and must call Cut or Release in the end.
func (l *Local) Lifeline(ctx context.Context, key []byte) (*Lifeline, error) {
	path := lifelinePath(l.dir.path, string(key))
	for {
		f, err := l.dir.openLifeline(filepath.Base(path))
		if err != nil {
			return nil, fmt.Errorf("make lifeline: %w", l.dir.fault(err))
		}
		locked, err := tryLock(f)
		if locked && isAt(path, f) {
			return &Lifeline{f, path}, nil
		}
		f.Close() // a host has locked the file to look at it, or has just removed it
		if err != nil {
			return nil, fmt.Errorf("lock lifeline: %w", l.dir.lockError(err))
		}
		if !clock.Pause(ctx, l.clock, time.Millisecond) {
			return nil, fmt.Errorf("lock lifeline: %w", context.Cause(ctx))
		}
	}
}

// openLifeline makes or opens the file of a lifeline.
func (d *directory) openLifeline(name string) (f *os.File, err error) {
	open := func(in *groupdir.Dir) (err error) {
		f, err = in.OpenFile(lifelinesName + "/" + name)
		if errors.Is(err, fs.ErrNotExist) { // the directory was removed
			_ = in.Mkdir(lifelinesName)
			f, err = in.OpenFile(lifelinesName + "/" + name)
		}

		return err
	}
	err = d.within(open)
	if errors.Is(err, fs.ErrNotExist) { // and the state directory too
		if err = d.checkParent(); err == nil {
			err = os.MkdirAll(d.path, 0o700)
		}
		err = cmp.Or(err, d.within(open))
	}

	return f, err
}

// File returns the file, to be passed on to other processes that work under the session. While one of them has the file
// open, the host treats the session as if its client were alive.
func (l *Lifeline) File() *os.File { return l.file }

// Cut declares that this process no longer works under the session, as the end of the process would. If the session
// still exists, the host ends it, unless another process has the file open.
func (l *Lifeline) Cut() { _ = l.file.Close() }

// Release removes the lifeline of a session that has ended on the server. It does nothing if l is nil.
func (l *Lifeline) Release() {
	if l == nil {
		return
	}
	_ = os.Remove(l.path) // if this fails, the host removes it
	_ = l.file.Close()
}

// lifelinePath returns the path of a lifeline. It contains a hash of the protection key and not the key itself, which
// is a secret between the client of the session and the server.
func lifelinePath(dir, key string) string {
	name := sha256.Sum256([]byte(key))

	return filepath.Join(dir, lifelinesName, hex.EncodeToString(name[:16]))
}

func isAt(path string, f *os.File) bool {
	at, err := os.Stat(path)
	if err != nil {
		return false
	}
	is, err := f.Stat()

	return err == nil && os.SameFile(at, is)
}

// lifelines is the host's view of all lifelines. Its methods are safe for concurrent use.
type lifelines struct {
	dir *directory

	mu  sync.Mutex          // guards cut; held during isCut, so that one call does not see the lock of another
	cut map[string]struct{} // files that the last sweep found cut
}

// Cut reports whether all processes that could work under the session with the key are gone (E4).
func (l *lifelines) Cut(key string) (cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.dir.within(func(in *groupdir.Dir) error {
		cut = isCut(in.Root(), filepath.Base(lifelinePath("", key)), func() {})

		return nil
	})

	return cut && err == nil
}

// sweep removes the files that were already cut at the previous sweep. In the meantime the server has ended their
// sessions, at least those whose nodes are loaded.
func (l *lifelines) sweep() error {
	return l.dir.within(func(in *groupdir.Dir) error {
		entries, err := fs.ReadDir(in.Root().FS(), lifelinesName)
		if err != nil {
			return err
		}
		l.mu.Lock()
		defer l.mu.Unlock()

		before := l.cut
		l.cut = make(map[string]struct{})
		var errs []error
		for _, e := range entries {
			_, again := before[e.Name()]
			isCut(in.Root(), e.Name(), func() { // the file is locked here, so no client can start to use it
				if again {
					errs = append(errs, in.Root().Remove(lifelinesName+"/"+e.Name()))
				} else {
					l.cut[e.Name()] = struct{}{}
				}
			})
		}

		return errors.Join(errs...)
	})
}

// isCut reports whether the lifeline with the name exists and no process has it locked. If so, it locks the file and
// calls do.
func isCut(state *os.Root, name string, do func()) bool {
	f, err := groupdir.OpenRegular(state, lifelinesName+"/"+name, os.O_RDWR, 0)
	if err != nil {
		return false // fs.ErrNotExist: the client has no lifeline or has released it
	}
	defer f.Close()
	if locked, err := tryLock(f); err != nil || !locked {
		return false
	}
	do()

	return true
}
