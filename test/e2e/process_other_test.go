//go:build !linux

package e2e

import "syscall"

// dieWithUs has nothing to offer here: children are killed at the end of their test, if it comes to that.
func dieWithUs() *syscall.SysProcAttr { return nil }
