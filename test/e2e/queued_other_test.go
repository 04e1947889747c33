//go:build unix && !linux

package e2e

// fionread is the request that returns the number of bytes that can be read from a descriptor. It is FIONREAD of BSD.
const fionread = 0x4004667f
