//go:build unix

package embedded

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// checkOurs refuses a directory that is not ours alone: who can write into it could end leases or forge them.
func checkOurs(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return dirError(path, err)
	}
	var wrong, repair string
	switch stat, mode, us := info.Sys().(*syscall.Stat_t), info.Mode().Perm(), os.Geteuid(); {
	case int(stat.Uid) != us:
		wrong = fmt.Sprintf("belongs to user %d, and this process is user %d", stat.Uid, us)
		repair = fmt.Sprintf("run as root: chown -R %d %s", us, quote(path))
	case mode&0o077 != 0:
		wrong, repair = fmt.Sprintf("lets other users in (mode %#o)", mode), "run: chmod 700 "+quote(path)
	case mode != 0o700:
		wrong, repair = fmt.Sprintf("keeps its own user out (mode %#o)", mode), "run: chmod 700 "+quote(path)
	default:
		return nil
	}
	if foreign(path) {
		return fmt.Errorf("state directory %q %s, and was made for other things: choose one of its own with --dir or "+
			"TENURE_DIR, such as %q", path, wrong, filepath.Join(path, "tenure"))
	}

	return fmt.Errorf("state directory %q %s: %s, or %s", path, wrong, another, repair)
}

// foreign says whether the directory has things in it, and none that is ours: then nobody should change who may use it.
func foreign(path string) bool {
	entries, err := os.ReadDir(path)
	ours := func(e fs.DirEntry) bool { return e.Name() == lifelinesName || e.Name() == lockName }

	return err == nil && len(entries) > 0 && !slices.ContainsFunc(entries, ours)
}
