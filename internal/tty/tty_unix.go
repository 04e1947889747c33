//go:build unix

package tty

import (
	"golang.org/x/sys/unix"
)

// A Terminal is the controlling terminal of this process. The methods also work on a nil Terminal, which has no
// foreground.
type Terminal struct{ fd int }

// Path is the name of the controlling terminal of every process.
const Path = "/dev/tty"

// Open opens the controlling terminal. It returns nil if there is none.
func Open() *Terminal {
	fd, err := unix.Open(Path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return nil
	}

	return &Terminal{fd}
}

// Close closes the terminal.
func (t *Terminal) Close() {
	if t != nil {
		unix.Close(t.fd)
	}
}

// Foreground returns the process group in the foreground, or 0 if it is unknown.
func (t *Terminal) Foreground() (group int) {
	if t == nil {
		return 0
	}
	group, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
	if err != nil { // the terminal is gone
		return 0
	}

	return group
}

// SetForeground moves a process group of the session to the foreground. It works in the background too.
func (t *Terminal) SetForeground(group int) (err error) {
	if t == nil {
		return unix.ENOTTY
	}
	Shield(func() { err = unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, group) })

	return err
}

// Orphaned reports whether the process group of this process is orphaned: no shell could continue its processes, and so
// the system does not stop them by SIGTSTP, SIGTTIN or SIGTTOU.
func Orphaned() bool {
	own, session := unix.Getpgrp(), sessionOf(0)
	for parent := range ancestors() {
		if sessionOf(parent) != session {
			return true
		}
		if groupOf(parent) != own {
			return false
		}
	}

	return true
}

// OfAncestor reports whether the process group contains an ancestor of this process.
func OfAncestor(group int) bool {
	for parent := range ancestors() {
		if groupOf(parent) == group {
			return true
		}
	}

	return false
}

// ParentStops reports whether an ancestor of this process in the same process group, such as a script, is stopped or
// about to stop. The user's shell then takes the terminal.
func ParentStops() bool {
	own := unix.Getpgrp()
	for parent := range ancestors() {
		if groupOf(parent) != own {
			break
		}
		if stops(parent) {
			return true
		}
	}

	return false
}

func sessionOf(pid int) int {
	session, err := unix.Getsid(pid)
	if err != nil {
		return -1
	}

	return session
}

func groupOf(pid int) int {
	group, err := unix.Getpgid(pid)
	if err != nil {
		return -1
	}

	return group
}
