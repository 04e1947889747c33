//go:build unix

package command

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"tenure/internal/tty"
)

// A terminal is the controlling terminal, which this process lends to COMMAND: it moves the group of COMMAND to the
// foreground, and later its own group again.
//
// Processes of both groups may use the terminal, as in "lock x -- sudo cat file | less". The system stops the group
// that uses it in the background, and tells this process: by the stop of COMMAND, or by a signal to the own group. That
// group then gets the foreground.
type terminal struct {
	tty   *tty.Terminal
	own   int  // the process group of this process
	lent  bool // the group of COMMAND, or one that COMMAND has chosen, has the foreground
	wants bool // COMMAND gets the foreground when it continues
	over  bool // COMMAND has ended and does not get the terminal any more
}

func openTerminal() terminal { return terminal{tty: tty.Open(), own: unix.Getpgrp()} }

// startsInForeground reports whether COMMAND, with these files, gets the foreground before it needs it. Some programs
// print less in the background.
//
// Other processes of the own group, such as a script or a pager, should get Ctrl-C and the input as long as COMMAND
// does not need the terminal. So this process must be the leader of its group, as interactive shells start it, and must
// not be a part of a pipeline, whose other parts they may start later.
func (t *terminal) startsInForeground(files ...*os.File) bool {
	for _, file := range files {
		if info, err := file.Stat(); err != nil || info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0 {
			return false
		}
	}

	return t.own == os.Getpid() && t.tty.Foreground() == t.own
}

// lend moves the group of COMMAND to the foreground if this process is there. It reports whether it has done that.
// After Ctrl-Z, it must not take the terminal from the user's shell, which notices that a script has stopped before
// this process stops.
func (t *terminal) lend(group int) bool {
	if t.over || tty.ParentStops() || t.tty.Foreground() != t.own || t.tty.SetForeground(group) != nil {
		return false
	}
	t.lent, t.wants = true, false

	return true
}

// takeBack returns this process to the foreground if it has lent it. Another group may have got it since: the one of
// the user's shell when the shell noticed that this process was stopped.
func (t *terminal) takeBack() {
	if !t.lent {
		return
	}
	t.lent = false
	if front := t.tty.Foreground(); front != 0 && front != t.own && !tty.OfAncestor(front) {
		_ = t.tty.SetForeground(t.own) // the terminal may be gone
	}
}

// reclaim takes the terminal back for good. A process of the own group may have needed it just before.
func (t *terminal) reclaim() {
	t.over = true
	if t.lent {
		t.takeBack()
		_ = syscall.Kill(0, syscall.SIGCONT)
	}
}

func (t *terminal) close() {
	t.tty.Close()
	t.tty = nil
}

// shellTook notices that the user's shell has taken the terminal, as it does before "bg".
func (t *terminal) shellTook(group int) {
	if front := t.tty.Foreground(); front != t.own && front != group {
		t.lent = false
	}
}

// forOthers moves this process's group, a process of which needs the terminal, to the foreground in the place of
// COMMAND, and continues the processes of the group. It reports false if neither group has the foreground.
//
// It also answers a signal that is handled after reclaim. The signal may be older: signals and the guard's events have
// no common order. It may also be newer, because the system looks at the foreground before it sends the signal.
func (t *terminal) forOthers() bool {
	switch {
	case t.tty == nil:
		return false
	case t.tty.Foreground() == t.own: // another process has asked before, or COMMAND has ended
	case t.lent:
		t.takeBack()
	default:
		return false
	}
	_ = syscall.Kill(0, syscall.SIGCONT)

	return true
}
