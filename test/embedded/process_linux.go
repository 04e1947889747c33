package embedded

import "syscall"

// dieWithUs has the kernel kill a child when this process dies, however it dies. The signal comes when the thread that
// started the child ends; Go ends only threads to which a goroutine has locked itself.
func dieWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
