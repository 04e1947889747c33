//go:build unix && !linux

package guard

import (
	"context"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func executable() (string, error) { return os.Executable() }

func socketpair() (pair [2]int, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	pair, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(pair[0])
		unix.CloseOnExec(pair[1])
	}

	return pair, err
}

// Adopt does nothing: the first process of the system adopts orphans.
func Adopt() (release func()) { return func() {} }

// Own does nothing: this process adopts no orphans.
func Own(context.Context) {}

// LeaveAlone does nothing: this process adopts no orphans.
func LeaveAlone() {}

// KillAdopted does nothing: this process adopts no orphans.
func KillAdopted(context.Context) {}

// KillChildren does nothing: this system does not list the children of a process.
func (g *Guard) KillChildren() (none bool) { return true }

func (*registry) reap() {}
