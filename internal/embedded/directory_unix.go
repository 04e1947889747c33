//go:build unix

package embedded

import (
	"fmt"
	"os"
	"syscall"
)

// checkOurs refuses a directory that is not ours alone: who can write into it could end leases or forge them.
func checkOurs(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return dirError(path, err)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("state directory %q belongs to user %d, and this process is user %d: run \"chown -R %d %s\" as "+
			"root, or choose another with --dir or TENURE_DIR", path, stat.Uid, os.Geteuid(), os.Geteuid(), path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("state directory %q is open to other users (mode %#o): run \"chmod 700 %s\"", path, mode, path)
	}

	return nil
}
