//go:build unix && !linux

package tty

import (
	"iter"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// The requests that read and write the settings of a terminal.
const getSettings, setSettings = unix.TIOCGETA, unix.TIOCSETA

// Shield calls f while SIGTTOU does not stop this process. This system has no signal masks for Go programs, so this
// process ignores the signal from now on.
func Shield(f func()) {
	signal.Ignore(syscall.SIGTTOU)
	f()
}

// stops reports false: this system does not tell whether a process is stopped.
func stops(int) bool { return false }

// ancestors yields the process ids of the parent of this process and of the leader of its session. This system does not
// tell the others.
func ancestors() iter.Seq[int] {
	return func(yield func(int) bool) {
		session, err := unix.Getsid(0)
		if yield(os.Getppid()) && err == nil && session != os.Getpid() {
			yield(session)
		}
	}
}
