//go:build unix && !linux

package embedded

import "syscall"

// dieWithUs has nothing to offer here.
func dieWithUs() *syscall.SysProcAttr { return nil }
