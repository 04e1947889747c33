//go:build unix && !linux

package command

import "syscall"

// dieWithThread has nothing to offer here.
func dieWithThread(*syscall.SysProcAttr) {}

// adopt leaves orphans to the system's first process.
func adopt() (release func()) { return func() {} }
