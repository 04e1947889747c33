package guard

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"tenure/internal/clock"
)

const (
	cloexec    = unix.MSG_CMSG_CLOEXEC
	lastSignal = 64
)

// dieWithThread makes the system kill the process when the thread that starts it ends, or when this process ends.
func dieWithThread(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// nameThread sets the name of the first thread, which ps shows for the process.
func nameThread(name string) {
	text := append([]byte(name), 0)
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&text[0])), 0, 0, 0)
}

// An alarm wakes the watchman at an instant of CLOCK_BOOTTIME, immediately after a suspension of the machine.
type alarm struct {
	timer int
	at    clock.Instant
}

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)

	return &alarm{timer: fd}, err
}

func (a *alarm) fd() int32 { return int32(a.timer) }

// set sets the alarm and returns the limit for poll in milliseconds; negative: none.
func (a *alarm) set(_ clock.Clock, at clock.Instant) int {
	if a.at != at {
		a.at = at
		spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(at))}
		_ = unix.TimerfdSettime(a.timer, unix.TFD_TIMER_ABSTIME, &spec, nil)
	}

	return -1
}

func (a *alarm) drain() {
	var count [8]byte
	_, _ = unix.Read(a.timer, count[:])
}
