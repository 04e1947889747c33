package peercred

import "golang.org/x/sys/unix"

// Supported reports whether this system tells the user id of a peer.
const Supported = true

func peerUID(fd int) (uint32, error) {
	ucred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, err
	}

	return ucred.Uid, nil
}
