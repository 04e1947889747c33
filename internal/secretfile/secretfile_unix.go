//go:build unix

package secretfile

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

func open(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0) // a FIFO must not block
	if err != nil {
		return nil, missing(err)
	}

	return f, nil
}

// private refuses a file that other users can read or change.
func private(name string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("cannot find out who owns %s", name)
	}

	return privateFor(os.Geteuid(), name, int(stat.Uid), info.Mode().Perm())
}

// privateFor refuses the file of the owner for a process of a user.
func privateFor(user int, name string, owner int, mode fs.FileMode) error {
	const (
		others     = 0o077
		groupReads = 0o040
	)
	switch {
	case owner != user && owner != 0:
		return fmt.Errorf("%s belongs to user %d, but this process runs as user %d: change its owner", name, owner, user)
	case owner == 0 && mode&others&^groupReads == 0:
	case owner == user && mode&others != 0:
		return fmt.Errorf("other users can use %s (mode %04o): run chmod go-rwx %[1]s", name, mode)
	case mode&others&^groupReads != 0:
		return fmt.Errorf("other users can use %s (mode %04o): run chmod g-wx,o-rwx %[1]s", name, mode)
	}

	return nil
}
