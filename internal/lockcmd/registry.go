//go:build unix

package lockcmd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tenure/internal/clock"
	"tenure/internal/embedded"
)

// A registered is a background holder of a lock. Each has a file that it keeps locked while it lives, so a process id
// in the file of a process that has ended is never used.
type registered struct {
	path string
	pid  int
}

const (
	// poll is the pause between looks at a background holder that is ending.
	poll = 5 * time.Millisecond

	// looksPerSignal is the number of looks before a holder that is still there gets its signal again.
	looksPerSignal = 20
)

// registry returns the directory with the files, and the beginning of the names of those for a lock.
func (l *locker) registry(name string) (dir, prefix string, err error) {
	choice, err := embedded.StateDir(l.env.LookupEnv)
	if err != nil {
		return "", "", fmt.Errorf("cannot remember the process in the background: %w", err)
	}
	hash := sha256.Sum256([]byte(strings.Join([]string{l.ServerID(), l.Path, name}, "\x00")))

	return filepath.Join(choice.Dir, "holders"), hex.EncodeToString(hash[:12]) + "-", nil
}

// register makes this process known as a background holder, until unregister is called.
func (l *locker) register() (unregister func(), err error) {
	var files []*os.File
	unregister = func() {
		for _, f := range files {
			_ = os.Remove(f.Name())
			_ = f.Close()
		}
	}
	for _, name := range l.names {
		f, err := l.registerFor(name)
		if err != nil {
			unregister()

			return nil, err
		}
		files = append(files, f)
	}

	return unregister, nil
}

func (l *locker) registerFor(name string) (*os.File, error) {
	dir, prefix, err := l.registry(name)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, prefix+strconv.Itoa(os.Getpid())), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}

	return f, nil
}

// registered returns the background holders of the lock.
func (l *locker) registered(name string) ([]registered, error) {
	dir, prefix, err := l.registry(name)
	if err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(dir, prefix+"*"))
	if err != nil {
		return nil, err
	}
	var found []registered
	for _, path := range paths {
		_, number, _ := strings.Cut(filepath.Base(path), "-")
		pid, err := strconv.Atoi(number)
		if r := (registered{path, pid}); err == nil && r.alive() {
			found = append(found, r)
		}
	}

	return found, nil
}

// alive reports whether the process lives. It removes the file of a process that does not.
func (r registered) alive() bool {
	f, err := os.OpenFile(r.path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO must not block
	if err != nil {
		return false
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return true
	}
	_ = os.Remove(r.path)

	return false
}

// end asks the process to release the lock, and waits until it has ended. It asks again and again, because the process
// of the holder that receives the signal may just have been started, and then misses it.
func (r registered) end(ctx context.Context) error {
	for looks := 0; r.alive(); looks++ {
		if looks%looksPerSignal == 0 {
			if err := syscall.Kill(r.pid, releaseSignal); err != nil && r.alive() {
				return fmt.Errorf("process %d: %w", r.pid, err)
			}
		}
		if !clock.Pause(ctx, clock.Go(), poll) {
			return context.Cause(ctx)
		}
	}

	return nil
}
