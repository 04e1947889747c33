//go:build unix

package command

import (
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// A terminal is a terminal that this process lends to COMMAND by putting COMMAND in its foreground.
type terminal struct {
	fd    int
	group int // the process group of this process
}

// terminalOf returns stdin as a terminal. It returns nil if stdin is not a terminal, or if this process is not in its
// foreground and so cannot lend it.
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

// lent prepares this process for running in the background. It must be able to write to the terminal from there, even
// with stty tostop.
func (t *terminal) lent() {
	if t != nil {
		signal.Ignore(syscall.SIGTTOU)
	}
}

// takeBack returns this process to the foreground.
func (t *terminal) takeBack() {
	if t == nil {
		return
	}
	signal.Ignore(syscall.SIGTTOU) // the system sends it to a background process that changes the foreground
	defer signal.Reset(syscall.SIGTTOU)
	_ = unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, t.group) // the terminal may be gone
}
