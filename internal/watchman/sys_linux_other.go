//go:build linux && !amd64 && !arm64

package watchman

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func prctl(option int, argument uintptr) error { return unix.Prctl(option, argument, 0, 0, 0) }

func setName(name *byte) { _ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(name)), 0, 0, 0) }

func waitid(of, pid int, info *siginfo, options int) error {
	return unix.Waitid(of, pid, (*unix.Siginfo)(unsafe.Pointer(info)), options, nil)
}

func timerfdCreate(clock, flags int) (fd int, err error) { return unix.TimerfdCreate(clock, flags) }

// timerfdSet lets the timer expire at an absolute time, once.
func timerfdSet(fd int, nanoseconds int64) error {
	return unix.TimerfdSettime(fd, timerAbsolute, &unix.ItimerSpec{Value: unix.NsecToTimespec(nanoseconds)}, nil)
}

func pidfdOpen(pid int) (fd int, err error) { return unix.PidfdOpen(pid, 0) }

func pidfdSignal(fd int, sig syscall.Signal) error { return unix.PidfdSendSignal(fd, sig, nil, 0) }

// shield keeps SIGTTOU from stopping this process when the calling thread writes to the terminal.
func shield() {
	var set unix.Sigset_t
	set.Val[0] = 1 << (unix.SIGTTOU - 1)
	_ = unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil)
}
