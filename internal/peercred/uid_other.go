//go:build !linux && !darwin

package peercred

import "errors"

// Supported reports whether this system tells the user id of a peer.
const Supported = false

func peerUID(int) (uint32, error) { return 0, errors.ErrUnsupported }
