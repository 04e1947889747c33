//go:build unix && !linux

package embedded

import "syscall"

// dieWithUs returns nil: this system has no such setting.
func dieWithUs() *syscall.SysProcAttr { return nil }
