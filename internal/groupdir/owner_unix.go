//go:build unix

package groupdir

import (
	"io/fs"
	"syscall"
)

// owner returns the user and the group of a file.
func owner(info fs.FileInfo) (uid, gid int) {
	stat := info.Sys().(*syscall.Stat_t)

	return int(stat.Uid), int(stat.Gid)
}

// links returns the number of names of a file.
func links(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Nlink) }
