//go:build unix

package embedded

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"tenure/internal/shell"
)

// checkOurs refuses a directory that other users can access: a user who can write to it can end leases or forge them.
func (d *directory) checkOurs() error {
	path := d.path
	info, err := os.Stat(path)
	if err != nil {
		return d.fault(err)
	}
	var wrong, repair string
	switch stat, mode, us := info.Sys().(*syscall.Stat_t), info.Mode().Perm(), os.Geteuid(); {
	case int(stat.Uid) != us:
		wrong = fmt.Sprintf("belongs to user %d, but this process runs as user %d", stat.Uid, us)
		repair = fmt.Sprintf("run as root: chown -R %d %s", us, shell.Quote(path))
	case mode&0o077 != 0:
		wrong = fmt.Sprintf("is accessible to other users (mode %#o)", mode)
		repair = "run: chmod 700 " + shell.Quote(path)
	case mode != 0o700:
		wrong = fmt.Sprintf("is not accessible to its owner (mode %#o)", mode)
		repair = "run: chmod 700 " + shell.Quote(path)
	default:
		return nil
	}
	if foreign(path) {
		return fmt.Errorf("state directory %q %s and contains other files: %s, such as %q", path, wrong,
			d.choose("a directory for tenure alone"), filepath.Join(path, "tenure"))
	}

	return fmt.Errorf("state directory %q %s: %s, or %s", path, wrong, d.choose("another"), repair)
}

// foreign reports whether the directory has entries but none of ours. A message must not advise changing the mode or
// the owner of such a directory.
func foreign(path string) bool {
	entries, err := os.ReadDir(path)
	ours := func(e fs.DirEntry) bool { return e.Name() == lifelinesName || e.Name() == lockName }

	return err == nil && len(entries) > 0 && !slices.ContainsFunc(entries, ours)
}
