//go:build unix

package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"tenure/internal/groupdir"
	"tenure/internal/shell"
)

// maxLinks is the largest number of symbolic links on a path, as in Linux.
const maxLinks = 40

// Path returns an error if a user other than root, the user of this process and the members can decide what is at the
// absolute path. Such a user owns a directory above it or a symbolic link on the way, or can write to a directory above
// it that does not have the sticky bit. In a directory with the sticky bit, such as /tmp, users cannot touch what
// others have made there. The members of a group trust each other, so a directory that a group of this process can
// write to is no fault.
//
// Path does not check what is at the path itself. What does not exist is no fault either, because this process is about
// to make it: call Path again afterwards. The error says which directory or link is at fault, and ends in what to do.
func Path(path string, members ...int) error {
	w := walk{at: "/", rest: components(path), members: members}
	for len(w.rest) > 0 {
		done, err := w.step()
		if done || err != nil {
			return err
		}
	}

	return nil
}

// walk is the way to a path.
type walk struct {
	at      string   // a directory that contains no symbolic link
	rest    []string // what follows
	links   int
	closed  bool // nobody but this user can pass a directory above
	members []int
}

func components(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(part string) bool { return part == "" || part == "." })
}

// step checks the directory where the walk is, and continues with the next component.
func (w *walk) step() (done bool, err error) {
	if done, err := w.checkDir(); done || err != nil {
		return done, err
	}
	name := w.rest[0]
	w.rest = w.rest[1:]
	if name == ".." {
		w.at, w.closed = filepath.Dir(w.at), false

		return false, nil
	}
	next := filepath.Join(w.at, name)
	info, err := os.Lstat(next)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, err
	case info.Mode()&fs.ModeSymlink == 0:
		w.at = next

		return false, nil
	}
	if owner := ownerOf(info); !w.closed && !w.trusts(owner) {
		return false, fmt.Errorf("%q is a symbolic link of user %d, who can make it lead elsewhere: "+
			"remove the link", next, owner)
	}
	target, err := os.Readlink(next)
	if err != nil {
		return false, err
	}
	if w.links++; w.links > maxLinks {
		return false, &fs.PathError{Op: "open", Path: next, Err: syscall.ELOOP}
	}
	if filepath.IsAbs(target) {
		w.at, w.closed = "/", false
	}
	w.rest = append(components(target), w.rest...)

	return false, nil
}

// checkDir checks the directory where the walk is.
func (w *walk) checkDir() (done bool, err error) {
	info, err := os.Lstat(w.at)
	if err != nil || !info.IsDir() || w.closed {
		return err == nil && !info.IsDir(), err
	}
	stat, mode := info.Sys().(*syscall.Stat_t), info.Mode()
	owner, ours := int(stat.Uid), Member(int(stat.Gid))
	const everybody, group, pass = 0o002, 0o020, 0o011
	switch {
	case !w.trusts(owner) && (!groupdir.Shared(mode) || !ours):
		return false, fmt.Errorf("%q belongs to user %d, who can replace what is in it", w.at, owner)
	case mode&fs.ModeSticky != 0:
	case mode.Perm()&everybody != 0:
		return false, fmt.Errorf("every user can write to %q and so replace what is in it: run: chmod o-w %s",
			w.at, shell.Quote(w.at))
	case mode.Perm()&group != 0 && stat.Gid != 0 && !ours:
		return false, fmt.Errorf("the members of group %d can write to %q and so replace what is in it: run: chmod g-w %s",
			stat.Gid, w.at, shell.Quote(w.at))
	}
	w.closed = owner == os.Geteuid() && mode.Perm()&pass == 0

	return false, nil
}

func (w *walk) trusts(uid int) bool { return Us(uid) || slices.Contains(w.members, uid) }

func ownerOf(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }

// Us reports whether the user is that of this process or root, or one who does not exist in the user namespace of this
// process. The system shows the same user id for all of the latter, among them often the root of the machine.
func Us(uid int) bool { return uid == 0 || uid == os.Geteuid() || Unknown(uid) }

// overflow is the user that the system shows for those who do not exist in the user namespace. Elsewhere it is the user
// nobody, who is a user like others.
const overflow = 65534

// Unknown reports whether the user id stands for a user who does not exist in the user namespace of this process.
func Unknown(uid int) bool { return uid == overflow && !overflowExists() }

// overflowExists reports whether the user namespace has a user with the id overflow.
var overflowExists = sync.OnceValue(func() bool {
	text, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return true // a system without user namespaces
	}

	return contains(string(text), overflow)
})

// contains reports whether a user id is in a map of user ids, whose lines have the first id, that outside, and a count.
func contains(idMap string, uid int64) bool {
	for line := range strings.Lines(idMap) {
		var first, outside, count int64
		if n, _ := fmt.Sscan(line, &first, &outside, &count); n == 3 && uid >= first && uid-first < count {
			return true
		}
	}

	return false
}

// Member reports whether this process is in the group.
func Member(gid int) bool {
	groups, err := os.Getgroups()

	return gid == os.Getegid() || err == nil && slices.Contains(groups, gid)
}
