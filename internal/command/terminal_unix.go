//go:build unix

package command

import (
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// A terminal is one that COMMAND is in front of in this process's stead.
type terminal struct {
	fd    int
	group int // of this process
}

// terminalOf returns the terminal that stdin is; nil if it is none, or if this process is not in front of it: then it
// has nothing to lend.
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

// lent prepares this process for the background: it must be able to write to the terminal, whatever stty tostop says.
func (t *terminal) lent() {
	if t != nil {
		signal.Ignore(syscall.SIGTTOU)
	}
}

// takeBack puts the group of this process in front again.
func (t *terminal) takeBack() {
	if t == nil {
		return
	}
	signal.Ignore(syscall.SIGTTOU) // whoever asks for it from the background gets that
	defer signal.Reset(syscall.SIGTTOU)
	_ = unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, t.group) // the terminal may be gone
}
