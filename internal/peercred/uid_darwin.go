package peercred

import "golang.org/x/sys/unix"

// Supported reports whether this system tells the user id of a peer.
const Supported = true

func peerUID(fd int) (uint32, error) {
	xucred, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return 0, err
	}

	return xucred.Uid, nil
}
