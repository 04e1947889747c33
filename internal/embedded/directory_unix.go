//go:build unix

package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	osuser "os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"tenure/internal/groupdir"
	"tenure/internal/shell"
	"tenure/internal/trust"
)

// checkOurs refuses a directory that other users can access, except the members of a group that shares it: a user who
// can write to the directory can end leases or forge them.
func (d *directory) checkOurs() error {
	path := d.path
	info, err := os.Stat(path)
	if err != nil {
		return d.fault(err)
	}
	stat, mode, us := info.Sys().(*syscall.Stat_t), info.Mode(), os.Geteuid()
	owner, shared := int(stat.Uid), groupdir.Shared(mode)
	d.shared = shared
	in := shared && (trust.Member(int(stat.Gid)) || us == 0)
	var wrong, repair string
	switch {
	case us == 0 && owner != 0: // even as a member of the group: the owner would get files of root
		wrong = fmt.Sprintf("belongs to user %d, but this process runs as root", owner)
		repair = asOwner(owner)
	case shared && !in:
		wrong = fmt.Sprintf("belongs to user %d and group %d, but this process runs as user %d, who is not in this group",
			owner, stat.Gid, us)
		repair = fmt.Sprintf("have user %d added to the group", us)
	case owner != us && !shared:
		wrong = fmt.Sprintf("belongs to user %d, but this process runs as user %d", owner, us)
		repair = asOwner(owner)
	case mode.Perm()&0o077 != 0 && !shared:
		wrong = fmt.Sprintf("is accessible to other users (mode %#o)", mode.Perm())
		repair = "run: chmod 700 " + shell.Quote(path)
	case mode.Perm() != 0o700 && !shared:
		wrong = fmt.Sprintf("is not accessible to its owner (mode %#o)", mode.Perm())
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

// checkPath refuses a path on which another user can put a directory of their own. That user could serve there, and
// would get the protection keys of all sessions.
func (d *directory) checkPath() error {
	var members []int
	if info, err := os.Stat(d.path); err == nil && groupdir.Shared(info.Mode()) {
		if stat := info.Sys().(*syscall.Stat_t); trust.Member(int(stat.Gid)) {
			members = append(members, int(stat.Uid))
		}
	}
	err := trust.Path(d.path, members...)
	if errors.As(err, new(*fs.PathError)) {
		return d.fault(err)
	}
	if err != nil {
		return fmt.Errorf("state directory %q is not safe: %w, or %s", d.path, err, d.choose("another"))
	}

	return nil
}

// asOwner returns the advice for a directory of another user. It does not advise a change of the owner, which would
// end what the owner's processes do under their leases.
func asOwner(owner int) string {
	user := fmt.Sprintf("'#%d'", owner)
	if account, err := osuser.LookupId(strconv.Itoa(owner)); err == nil {
		user = shell.Quote(account.Username)
	}

	return fmt.Sprintf("run this command as that user (sudo -u %s ...), or share a directory with the members of a "+
		"group, who must trust each other (as root, run: install -d -m 2770 -g GROUP DIRECTORY)", user)
}

// checkParent refuses to make the directory as root in a directory of another user.
func (d *directory) checkParent() error {
	if os.Geteuid() != 0 {
		return nil
	}
	parent := d.path
	for !exists(parent) && parent != filepath.Dir(parent) {
		parent = filepath.Dir(parent)
	}
	if parent == d.path {
		return nil // see checkOurs
	}
	uid, ok := foreignDir(parent)
	if !ok {
		return nil
	}

	return fmt.Errorf("state directory %q does not exist, and %q belongs to user %d, but this process runs as root: %s, "+
		"or %s", d.path, parent, uid, d.choose("another"), asOwner(uid))
}

// foreignParent reports whether a directory on the path belongs to a user other than root, and to which user.
func foreignParent(path string) (uid int, ok bool) {
	for {
		if uid, ok := foreignDir(path); ok {
			return uid, true
		}
		parent := filepath.Dir(path)
		if parent == path {
			return 0, false
		}
		path = parent
	}
}

// foreignDir reports whether the directory exists and belongs to a user other than root, and to which user.
func foreignDir(path string) (uid int, ok bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	uid = int(info.Sys().(*syscall.Stat_t).Uid)

	return uid, uid != 0 && !trust.Unknown(uid)
}

// foreign reports whether the directory has entries but none of ours. A message must not advise changing the mode or
// the owner of such a directory.
func foreign(path string) bool {
	entries, err := os.ReadDir(path)
	ours := func(e fs.DirEntry) bool { return e.Name() == lifelinesName || e.Name() == lockName }

	return err == nil && len(entries) > 0 && !slices.ContainsFunc(entries, ours)
}
