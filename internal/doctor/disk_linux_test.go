package doctor

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A test cannot mount a network file system, so the answers of the system are written here.
func TestDirectory_NetworkFileSystem(t *testing.T) {
	t.Parallel()
	d := Directory{Check: "state directory", Choose: "--dir"}
	for number, want := range map[int64]Line{
		unix.NFS_SUPER_MAGIC: {
			"state directory", Bad, "/x is on a network file system (NFS), which may give up file locks while their owner is " +
				"alive", "choose a directory on a local disk with --dir",
		},
		unix.FUSE_SUPER_MAGIC: {
			"state directory", Warn, "/x is on a file system that a program provides (FUSE), perhaps from another machine",
			"make sure that it is on this machine, or choose another directory with --dir",
		},
		unix.EXT4_SUPER_MAGIC: {"state directory", OK, "/x is on a local disk (ext4)", ""},
		7:                     {"state directory", OK, "/x is on a local disk (type 0x7)", ""},
	} {
		require.Equal(t, want, d.fileSystem("/x", ofStatfs(unix.Statfs_t{Type: number, Bsize: 4096})))
	}
}
