package doctor

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// A kind is a kind of file system.
type kind struct {
	name            string
	network, memory bool
}

// kinds are those that matter, by the number that statfs(2) has for them.
var kinds = map[uint32]kind{
	unix.NFS_SUPER_MAGIC:       {"NFS", true, false},
	unix.SMB_SUPER_MAGIC:       {"SMB", true, false},
	unix.CIFS_SUPER_MAGIC:      {"CIFS", true, false},
	unix.SMB2_SUPER_MAGIC:      {"SMB", true, false},
	unix.V9FS_MAGIC:            {"9P", true, false},
	unix.FUSE_SUPER_MAGIC:      {fuse, false, false},
	unix.CEPH_SUPER_MAGIC:      {"Ceph", true, false},
	unix.AFS_SUPER_MAGIC:       {"AFS", true, false},
	unix.AFS_FS_MAGIC:          {"AFS", true, false},
	unix.CODA_SUPER_MAGIC:      {"Coda", true, false},
	unix.NCP_SUPER_MAGIC:       {"NCP", true, false},
	unix.OCFS2_SUPER_MAGIC:     {"OCFS2", true, false},
	0x01161970:                 {"GFS2", true, false},
	0x0BD00BD0:                 {"Lustre", true, false},
	0x47504653:                 {"GPFS", true, false},
	0x786F4256:                 {"VirtualBox", true, false},
	unix.TMPFS_MAGIC:           {"tmpfs", false, true},
	unix.RAMFS_MAGIC:           {"ramfs", false, true},
	unix.EXT4_SUPER_MAGIC:      {"ext4", false, false},
	unix.XFS_SUPER_MAGIC:       {"XFS", false, false},
	unix.BTRFS_SUPER_MAGIC:     {"Btrfs", false, false},
	unix.F2FS_SUPER_MAGIC:      {"F2FS", false, false},
	unix.OVERLAYFS_SUPER_MAGIC: {"overlayfs", false, false},
	0x2FC12FC1:                 {"ZFS", false, false},
}

// diskOf asks the system for the disk of a directory.
func diskOf(dir string) (disk, error) {
	var s unix.Statfs_t
	for {
		err := unix.Statfs(dir, &s)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return disk{}, &os.PathError{Op: "statfs", Path: dir, Err: err}
		}

		break
	}

	return ofStatfs(s), nil
}

func ofStatfs(s unix.Statfs_t) disk {
	number := uint32(s.Type) //nolint:gosec // the type is signed on some systems
	k, found := kinds[number]
	if !found {
		k.name = fmt.Sprintf("type %#x", number)
	}

	return disk{
		kind: k.name, network: k.network, memory: k.memory, free: s.Bavail * uint64(s.Bsize), //nolint:gosec // positive
		inodes: s.Ffree, inodesReported: s.Files > 0,
	}
}
