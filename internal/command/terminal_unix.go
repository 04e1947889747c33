//go:build unix

package command

import (
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// A terminal is one whose foreground this process lends to COMMAND.
type terminal struct {
	fd    int
	group int // the process group of this process
}

// terminalOf returns the terminal that stdin is. It returns nil if stdin is not a terminal, or if this process is not
// in its foreground and so cannot lend it.
func terminalOf(stdin io.Reader) *terminal {
	file, ok := stdin.(*os.File)
	if !ok || file == nil {
		return nil
	}
	fd := int(file.Fd())
	front, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	if err != nil || front != unix.Getpgrp() {
		return nil
	}

	return &terminal{fd, front}
}

// lent prepares this process for the background, where it must be able to write to the terminal even with stty tostop.
func (t *terminal) lent() {
	if t != nil {
		signal.Ignore(syscall.SIGTTOU)
	}
}

// takeBack puts the group of this process in the foreground again.
func (t *terminal) takeBack() {
	if t == nil {
		return
	}
	signal.Ignore(syscall.SIGTTOU) // the system sends it to a process that does this in the background
	defer signal.Reset(syscall.SIGTTOU)
	_ = unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, t.group) // the terminal may be gone
}
