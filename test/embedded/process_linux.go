package embedded

import "syscall"

// dieWithUs makes the kernel kill a child when this process dies for any reason. The kernel sends the signal when the
// thread that started the child ends. Go ends a thread only if a goroutine is locked to it.
func dieWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
