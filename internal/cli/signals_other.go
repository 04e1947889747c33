//go:build !unix

package cli

import "syscall"

const childEnded syscall.Signal = 0 // there is no such signal

// raise ends this process as if by a signal.
func raise(sig syscall.Signal) { syscall.Exit(128 + int(sig)) }
