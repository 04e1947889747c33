//go:build !unix

package groupdir

const nonblock = 0
