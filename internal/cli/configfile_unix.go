//go:build unix

package cli

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// trusted returns an error if users other than this one and root can write the file. They could choose the server, and
// so give the same lock to two processes.
func trusted(file *os.File) error {
	const othersWrite = 0o022
	info, err := file.Stat()
	if err != nil {
		return err
	}
	stat, _ := info.Sys().(*syscall.Stat_t)
	switch us := os.Geteuid(); {
	case !info.Mode().IsRegular():
		return errors.New("it is not a regular file: " + otherConfig)
	case stat.Uid != 0 && int(stat.Uid) != us:
		return fmt.Errorf("it belongs to user %d, but this process runs as user %d: %s", stat.Uid, us, otherConfig)
	case info.Mode()&othersWrite != 0:
		return fmt.Errorf("other users can write to it: run chmod go-w %s", file.Name())
	}

	return nil
}
