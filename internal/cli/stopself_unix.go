//go:build unix && !(linux && (amd64 || arm64))

package cli

import (
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// StopSelf stops the process like the default action of SIGTSTP and returns when the process continues. It returns
// immediately if the process seems to belong to an orphaned process group, because no shell could continue it.
func StopSelf() {
	own, err := unix.Getsid(0)
	if err != nil {
		return
	}
	if parent, err := unix.Getsid(unix.Getppid()); err == nil && parent == own {
		_ = unix.Kill(unix.Getpid(), unix.SIGSTOP)
	}
}

// StopGroup is like StopSelf for all processes of the process group, as if the user had typed Ctrl-Z. The others may
// handle the signal in their own way. This process ignores SIGTSTP afterwards, until it asks for it again.
func StopGroup() {
	signal.Ignore(unix.SIGTSTP)
	_ = unix.Kill(0, unix.SIGTSTP)
	StopSelf()
}

// ignored reports whether the process ignores the signal. This system does not tell.
func ignored(syscall.Signal) bool { return false }
