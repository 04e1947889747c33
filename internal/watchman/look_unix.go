//go:build unix

package watchman

import (
	"os"
	"syscall"
)

// look looks at the children, and reports what has changed.
func (w *watchman) look() {
	w.lookAtStops()
	if !w.ended && hasEnded(w.command) {
		w.ended = true
		w.say(Event{Kind: Ended})
	}
	if w.ended && !w.collected && (w.reap || w.alone) {
		w.status, w.collected = collectCommand(w.command), true
		w.say(Event{Kind: Reaped, Status: w.status})
	}
	if !w.changed && !w.kill {
		return
	}
	w.changed = false
	alive := w.collect()
	if w.collected && !w.empty && syscall.Kill(-w.command, 0) == syscall.ESRCH {
		w.empty = true
		w.say(Event{Kind: Empty})
	}
	if (w.kill || w.rest && w.empty) && !w.gone && !alive {
		w.gone = true
		w.say(Event{Kind: Gone, Late: w.late})
	}
}

// lookAtStops reports whether COMMAND was stopped or continued.
func (w *watchman) lookAtStops() {
	if w.command == 0 || w.ended {
		return
	}
	for e, ok := hasStopped(w.command); ok; e, ok = hasStopped(w.command) {
		w.say(e)
	}
}

// resume continues COMMAND. It reports a stop before that, and not after.
func (w *watchman) resume() {
	w.lookAtStops()
	if w.command != 0 && !w.empty {
		_ = syscall.Kill(-w.command, syscall.SIGCONT) // the group may be empty
	}
	w.say(Event{Kind: Resumed})
}

// collect collects the children that have ended, except COMMAND. If kill is set, it kills the others and COMMAND, and
// reports whether one was alive. If COMMAND was collected, it reports whether there is a child.
func (w *watchman) collect() (alive bool) {
	standing := false
	if w.kill {
		alive = w.killAll()
		standing = w.killWatched()
	} else {
		w.collectOrphans()
	}
	for w.collected { // also if /proc is not available
		got, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.ECHILD {
			return standing // it is not a child
		}
		if got == 0 {
			return true
		}
	}

	return alive || standing
}

// killAll kills COMMAND and the other children, and reports whether one was alive.
func (w *watchman) killAll() (alive bool) {
	if !w.collected {
		_ = syscall.Kill(-w.command, syscall.SIGKILL) // reaches all processes of the group together
		alive = !w.ended
	}
	for _, pid := range Children(os.Getpid()) {
		if pid == w.command && !w.collected {
			continue
		}
		alive = true // if it has ended, this process may have adopted its children since the list was made
		if got, _ := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); got == 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may belong to another user
		}
	}

	return alive
}

// killWatched kills the process that COMMAND stands for, and reports whether it was alive.
func (w *watchman) killWatched() (alive bool) {
	if w.stands == nil || w.stands.Ended() {
		return false
	}
	_ = w.stands.Signal(syscall.SIGKILL)

	return true
}

// collectOrphans collects the adopted children that have ended. It stops at COMMAND, which may have to stay for a
// moment. It does not list the children, because that takes long: see Children.
func (w *watchman) collectOrphans() {
	for pid := AnyEnded(); pid != 0 && pid != w.command; pid = AnyEnded() {
		if got, _ := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); got != pid {
			return
		}
	}
}
