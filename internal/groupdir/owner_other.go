//go:build !unix

package groupdir

import "io/fs"

// owner returns -1: on this system, no directory counts as shared.
func owner(fs.FileInfo) (uid, gid int) { return -1, -1 }

func links(fs.FileInfo) int { return 1 }
