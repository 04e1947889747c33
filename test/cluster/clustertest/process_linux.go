package clustertest

import "syscall"

// dieWithUs makes a process die when this one does.
func dieWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
