package watchman

import (
	"syscall"

	"tenure/internal/clock"
)

const (
	cloexec    = syscall.MSG_CMSG_CLOEXEC
	lastSignal = 64

	clockBoottime = 7
	timerAbsolute = 1 // TFD_TIMER_ABSTIME
)

// adopt makes this process the parent of its orphaned descendants. Otherwise the first process of the system becomes
// their parent.
func adopt() { _ = prctl(setChildSubreaper, 1) } // supported since Linux 3.4

const setChildSubreaper = 36 // PR_SET_CHILD_SUBREAPER

// dieWithThread makes the system kill the process when the thread that starts it ends, or when this process ends.
func dieWithThread(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// nameThread sets the name of the first thread, which ps shows for the process.
func nameThread(name string) {
	setName(&append([]byte(name), 0)[0])
}

// An alarm wakes the watchman at an instant of CLOCK_BOOTTIME, immediately after a suspension of the machine.
type alarm struct {
	timer int
	at    clock.Instant
}

func newAlarm() (*alarm, error) {
	fd, err := timerfdCreate(clockBoottime, syscall.O_CLOEXEC|syscall.O_NONBLOCK)

	return &alarm{timer: fd}, err
}

func (a *alarm) fd() int32 { return int32(a.timer) }

// set sets the alarm and returns the limit for poll in milliseconds; negative: none.
func (a *alarm) set(_ clock.Clock, at clock.Instant) int {
	if a.at != at {
		a.at = at
		_ = timerfdSet(a.timer, int64(at))
	}

	return -1
}

func (a *alarm) drain() {
	var count [8]byte
	_, _ = syscall.Read(a.timer, count[:])
}
