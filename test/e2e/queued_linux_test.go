package e2e

import "golang.org/x/sys/unix"

// fionread is the request that returns the number of bytes that can be read from a descriptor.
const fionread = unix.TIOCINQ
