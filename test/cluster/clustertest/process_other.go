//go:build !linux

package clustertest

import "syscall"

func dieWithUs() *syscall.SysProcAttr { return nil }
