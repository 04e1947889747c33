//go:build unix && !linux

package watchman

import "syscall"

// ended has the status of the one child of a guard. This system cannot report the end of a child without collecting it.
var ended = make(map[int]syscall.WaitStatus)

func hasEnded(pid int) bool {
	_, over := ended[pid]

	return over
}

func hasStopped(pid int) (e Event, ok bool) {
	var status syscall.WaitStatus
	got, err := syscall.Wait4(pid, &status, syscall.WNOHANG|syscall.WUNTRACED, nil)
	switch {
	case err != nil || got != pid:
		return Event{}, false
	case status.Stopped():
		return Event{Kind: Stopped, Signal: status.StopSignal()}, true
	case status.Continued():
		return Event{Kind: Continued}, true
	}
	ended[pid] = status

	return Event{}, false
}

func collectCommand(pid int) syscall.WaitStatus { return ended[pid] }

func Children(int) []int { return nil }

// AnyEnded returns 0.
func AnyEnded() int { return 0 }
