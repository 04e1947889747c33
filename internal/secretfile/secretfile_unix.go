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
	const (
		others      = 0o077
		groupReads  = 0o040
		restriction = "other users can use %s (mode %#o): run chmod go-rwx %[1]s"
	)
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("cannot find out who owns %s", name)
	}
	owner, us, mode := int(stat.Uid), os.Geteuid(), info.Mode().Perm()
	switch {
	case owner != us && owner != 0:
		return fmt.Errorf("%s belongs to user %d, but this process runs as user %d: change its owner", name, owner, us)
	case owner == us && mode&others != 0:
		return fmt.Errorf(restriction, name, mode)
	case mode&others&^groupReads != 0:
		return fmt.Errorf("other users can use %s (mode %#o): run chmod g-wx,o-rwx %[1]s", name, mode)
	}

	return nil
}
