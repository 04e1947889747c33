//go:build unix && !linux

package command

import "syscall"

// dieWithThread does nothing: this system cannot kill a process together with its parent.
func dieWithThread(*syscall.SysProcAttr) {}

// adopt does nothing: the first process of the system adopts orphans.
func adopt() (release func()) { return func() {} }
