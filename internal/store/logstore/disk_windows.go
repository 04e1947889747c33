package logstore

import (
	"io"
	"path/filepath"
	"syscall"

	"github.com/gofrs/flock"

	"tenure/internal/groupdir"
)

func lockFile(_ *groupdir.Dir, path, name string) (io.Closer, error) {
	l := flock.New(filepath.Join(path, name))
	switch ok, err := l.TryLock(); {
	case err != nil:
		return nil, err
	case !ok:
		return nil, syscall.EAGAIN
	default:
		return l, nil
	}
}

// syncDir does nothing: this system keeps the order of changes of a directory by itself.
func syncDir(string) error { return nil }
