package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	socketName    = "socket"
	statusName    = "status"
	lifelinesName = "lifelines"
	lockName      = "LOCK" // the store's
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
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, dirError(path, err)
	}
	path = abs
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, dirError(path, err)
	}
	if err := checkOurs(path); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(path, lifelinesName), 0o700); err != nil {
		return nil, dirError(path, err)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, dirError(path, err)
	}

	return &directory{path, file}, nil
}

func (d *directory) join(name string) string { return filepath.Join(d.path, name) }

func (d *directory) close() error { return d.file.Close() }

// another is what helps against every fault of a state directory.
const another = "choose another with --dir or TENURE_DIR"

// dirError says why the directory can't be used, and what to do.
func dirError(path string, err error) error {
	if target, _ := os.Readlink(path); target != "" && errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("state directory %q is a symbolic link to %q, which is missing: make that, or %s",
			path, target, another)
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		if err = e.Err; e.Path != path {
			err = fmt.Errorf("%s %q: %w", e.Op, e.Path, e.Err)
		}
	}
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("state directory %q: %w: the disk of %q is full: make room on it", path, err, path)
	}

	return fmt.Errorf("state directory %q: %w: %s", path, err, another)
}

// quote makes one word of a shell's of a name that is part of a command.
func quote(name string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@%", r)
	}
	if strings.IndexFunc(name, func(r rune) bool { return !plain(r) }) < 0 {
		return name
	}

	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}
