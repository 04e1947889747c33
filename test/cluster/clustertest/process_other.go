//go:build !linux

package clustertest

import (
	"net"
	"syscall"
)

func dieWithUs() *syscall.SysProcAttr { return nil }

// has is not known on this system, so faults that need it do not happen.
func (*Process) has(net.Addr) bool { return false }
