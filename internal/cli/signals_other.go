//go:build !unix

package cli

import "syscall"

// raise ends this process as if by a signal.
func raise(sig syscall.Signal) { syscall.Exit(128 + int(sig)) }
