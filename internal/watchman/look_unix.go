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
// reports whether one was alive.
func (w *watchman) collect() (alive bool) {
	if w.kill && !w.collected {
		_ = syscall.Kill(-w.command, syscall.SIGKILL) // reaches all processes of the group together
		alive = !w.ended
	}
	standing := w.kill && w.stands != nil && !w.stands.Ended()
	if standing {
		alive = true
		_ = w.stands.Signal(syscall.SIGKILL)
	}
	self := os.Getpid()
	for _, pid := range Children(self) {
		if pid == w.command && !w.collected {
			continue
		}
		alive = true // if it has ended, this process may have adopted its children since the list was made
		if got, _ := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); got == 0 && w.kill {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may belong to another user
		}
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

	return alive
}
