//go:build !linux

package e2e

import "syscall"

// dieWithUs returns nil: this system has no such setting. A test kills its processes when it ends.
func dieWithUs() *syscall.SysProcAttr { return nil }
