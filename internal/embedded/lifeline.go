package embedded

import (
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
)

// Lifeline is a locked file, by which a host sees whether anybody can still work under a session: the kernel unlocks it
// when the last process that has it open is gone.
type Lifeline struct{ file *os.File }

// Lifeline makes and locks the lifeline of the session with the protection key, which is started after that (E3).
// Cut or Release it.
func (l *Local) Lifeline(ctx context.Context, key []byte) (*Lifeline, error) {
	path := lifelinePath(l.dir.path, string(key))
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if errors.Is(err, fs.ErrNotExist) { // somebody has removed the directory
			_ = os.MkdirAll(filepath.Dir(path), 0o700)
			f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		}
		if err != nil {
			return nil, fmt.Errorf("make lifeline: %w", dirError(l.dir.path, err))
		}
		locked, err := tryLock(f)
		if locked && isAt(path, f) {
			return &Lifeline{f}, nil
		}
		f.Close() // a host that tidies up has it for a moment, or has just removed it
		if err != nil {
			return nil, fmt.Errorf("lock lifeline: %w", lockError(l.dir.path, err))
		}
		if !clock.Pause(ctx, l.clock, time.Millisecond) {
			return nil, fmt.Errorf("lock lifeline: %w", context.Cause(ctx))
		}
	}
}

// File is the lifeline for processes that work under the session too: while one of them has it open, the session lives
// as if its client did.
func (l *Lifeline) File() *os.File { return l.file }

// Cut says that nobody works under the session any more, as the end of the process would: a host that has the session
// still ends it, unless another process has the lifeline.
func (l *Lifeline) Cut() { _ = l.file.Close() }

// Release says that the session is over on the server too. A nil Lifeline needs none.
func (l *Lifeline) Release() {
	if l == nil {
		return
	}
	_ = os.Remove(l.file.Name()) // else the host does it
	_ = l.file.Close()
}

// lifelinePath does not tell the key, which is a secret between a session's client and the server.
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

// lifelines is the host's view of them. Its methods may be called from several goroutines.
type lifelines struct {
	dir string // the state directory

	mu  sync.Mutex          // held while one is looked at, so that a try never fails for another of ours
	cut map[string]struct{} // files that sweep has found cut
}

// Cut reports whether all who could work under the session with the key are gone (E4).
func (l *lifelines) Cut(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()

	return isCut(lifelinePath(l.dir, key), func() {})
}

// sweep removes the files that were cut at the sweep before: a session whose lifeline is cut has been ended in the
// meantime, if its node is in use.
func (l *lifelines) sweep() error {
	entries, err := os.ReadDir(filepath.Join(l.dir, lifelinesName))
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()

	before := l.cut
	l.cut = make(map[string]struct{})
	var errs []error
	for _, e := range entries {
		path := filepath.Join(l.dir, lifelinesName, e.Name())
		_, again := before[path]
		isCut(path, func() { // while it is locked: nobody can begin to use it
			if again {
				errs = append(errs, os.Remove(path))
			} else {
				l.cut[path] = struct{}{}
			}
		})
	}

	return errors.Join(errs...)
}

// isCut reports whether the file is there and nobody has it locked, and then calls do while it is locked here.
func isCut(path string, do func()) bool {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false // fs.ErrNotExist: its client has none, or is done with it
	}
	defer f.Close()
	if locked, err := tryLock(f); err != nil || !locked {
		return false
	}
	do()

	return true
}
