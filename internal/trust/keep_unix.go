//go:build unix

package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"tenure/internal/groupdir"
	"tenure/internal/shell"
)

// Keep makes a directory safe for the files of this process. It creates a missing directory with mode 0700. It takes
// away the access of other users, if the directory is empty or contains a file with the name ours, and then reports
// that it did. A directory that the members of a group share stays as it is. Keep returns an error that says what to do
// if other users can decide what is at the path, or own the directory, or can write to it. Errors of the system are not
// returned: the one who opens the directory describes them better.
func Keep(path, ours string) (tightened bool, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return false, nil //nolint:nilerr // see above
	}
	if err := keepPath(path); err != nil {
		return false, err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return false, nil //nolint:nilerr // see above
	}
	if err := keepPath(path); err != nil {
		return false, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return false, nil //nolint:nilerr // see above
	}
	stat, mode, us := info.Sys().(*syscall.Stat_t), info.Mode(), os.Geteuid()
	const others, write = 0o077, 0o022
	switch owner := int(stat.Uid); {
	case groupdir.Shared(mode) && Member(int(stat.Gid)):
	case owner != us && !Unknown(owner):
		return false, fmt.Errorf("%q belongs to user %d, but this process runs as user %d: run as that user, "+
			"or choose another directory", path, owner, us)
	case mode.Perm()&others == 0:
	case alone(path, ours):
		if err := os.Chmod(path, 0o700); err != nil {
			return false, fmt.Errorf("other users can access %q (mode %#o): %w: run: chmod 700 %s", path, mode.Perm(),
				errors.Unwrap(err), shell.Quote(path))
		}

		return true, nil
	case mode.Perm()&write != 0:
		return false, fmt.Errorf("other users can write to %q (mode %#o), and it contains other files: "+
			"choose a directory for tenure alone, such as %q", path, mode.Perm(), filepath.Join(path, "tenure"))
	}

	return false, nil
}

// keepPath is Path for the directory of Keep.
func keepPath(path string) error {
	var members []int
	if info, err := os.Stat(path); err == nil && groupdir.Shared(info.Mode()) {
		if stat := info.Sys().(*syscall.Stat_t); Member(int(stat.Gid)) {
			members = append(members, int(stat.Uid))
		}
	}
	err := Path(path, members...)
	if err == nil || errors.As(err, new(*fs.PathError)) {
		return nil
	}

	return fmt.Errorf("%q is not safe: %w, or choose another directory", path, err)
}

// alone reports whether the directory is empty or contains the file.
func alone(dir, file string) bool {
	if _, err := os.Lstat(filepath.Join(dir, file)); err == nil {
		return true
	}
	entries, err := os.ReadDir(dir)

	return err == nil && len(entries) == 0
}
