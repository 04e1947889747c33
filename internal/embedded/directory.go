package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	socketName    = "socket"
	statusName    = "status"
	lifelinesName = "lifelines"
)

// DefaultDir returns the state directory for those who name none: $TENURE_DIR, or tenure below $XDG_STATE_HOME, or
// below ~/.local/state. The lookup is as os.LookupEnv. The result is empty if the environment does not tell.
func DefaultDir(lookup func(string) (string, bool)) string {
	if dir, _ := lookup("TENURE_DIR"); dir != "" {
		return dir
	}
	if state, _ := lookup("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "tenure")
	}
	if home, _ := lookup("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "tenure")
	}

	return ""
}

// directory is a state directory that is fit for use.
type directory struct {
	path string
	file *os.File // the directory itself, for names of sockets that would be too long
}

// openDirectory makes the directory if it is missing, and refuses one that others could reach into.
func openDirectory(path string) (*directory, error) {
	if path == "" {
		return nil, errors.New("no state directory, and no home to have it in: name one with --dir or TENURE_DIR")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("state directory %q: %w", path, err)
	}
	lifelines := filepath.Join(path, lifelinesName)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, dirError(path, err)
	}
	if err := checkOurs(path); err != nil {
		return nil, err
	}
	if err := os.Mkdir(lifelines, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, dirError(path, err)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, dirError(path, err)
	}

	return &directory{path, file}, nil
}

// dirError says why the directory can't be used, and what to do.
func dirError(path string, err error) error {
	why := err
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		why = e.Err
	}

	return fmt.Errorf("state directory %q: %w: choose another with --dir or TENURE_DIR", path, why)
}

func (d *directory) join(name string) string { return filepath.Join(d.path, name) }

func (d *directory) close() error { return d.file.Close() }
