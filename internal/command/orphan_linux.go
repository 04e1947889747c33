package command

import (
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithThread makes the system kill the process when the thread that starts it ends, or when this process ends.
func dieWithThread(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// adopters counts the calls of Run that adopt orphans.
var adopters struct {
	sync.Mutex

	n int
}

// adopt makes this process the parent of its orphaned descendants until release is called. Otherwise the first process
// of the system becomes their parent. It may be slow to collect processes that have ended, and in a container it may
// not collect them at all.
func adopt() (release func()) {
	count := func(change int) {
		adopters.Lock()
		defer adopters.Unlock()
		adopters.n += change
		_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, uintptr(adopters.n), 0, 0, 0) // supported since Linux 3.4
	}
	count(1)

	return func() { count(-1) }
}
