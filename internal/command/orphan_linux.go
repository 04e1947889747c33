package command

import (
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithThread has the system kill the process when the thread that starts it ends, or this process does.
func dieWithThread(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// adopters counts the Runs that have adopted orphans.
var adopters struct {
	sync.Mutex

	n int
}

// adopt makes the orphans among what this process has started its own children, until release is called: whether the
// system's first process collects the dead soon, and in a container whether it does so at all, is not certain.
func adopt() (release func()) {
	count := func(change int) {
		adopters.Lock()
		defer adopters.Unlock()
		adopters.n += change
		_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, uintptr(adopters.n), 0, 0, 0) // every Linux since 3.4 can
	}
	count(1)

	return func() { count(-1) }
}
