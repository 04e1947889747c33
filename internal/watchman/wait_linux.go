package watchman

import (
	"errors"
	"syscall"
	"unsafe"
)

// siginfo is a siginfo_t. The fields after these depend on what it describes; see fields.
type siginfo struct {
	signo int32
	_     [31]int32
}

// The first argument of waitid.
const (
	allPIDs = 0 // P_ALL
	onePID  = 1 // P_PID
)

// AnyEnded returns a child that has ended, or 0. It does not collect it.
func AnyEnded() (pid int) {
	var info siginfo
	if waitid(allPIDs, 0, &info, syscall.WEXITED|syscall.WNOHANG|syscall.WNOWAIT) != nil || info.signo == 0 {
		return 0
	}
	pid, _ = fields(&info)

	return pid
}

// childless reports whether this process has no children.
func childless() bool {
	var info siginfo

	return errors.Is(waitid(allPIDs, 0, &info, syscall.WEXITED|syscall.WNOHANG|syscall.WNOWAIT), syscall.ECHILD)
}

// hasEnded reports whether a child has ended. It does not collect it.
func hasEnded(pid int) bool {
	var info siginfo
	err := waitid(onePID, pid, &info, syscall.WEXITED|syscall.WNOHANG|syscall.WNOWAIT)

	return err == nil && info.signo != 0 || errors.Is(err, syscall.ECHILD)
}

// hasStopped reports that a child was stopped or continued since the previous call.
func hasStopped(pid int) (e Event, ok bool) {
	var info siginfo
	err := waitid(onePID, pid, &info, syscall.WSTOPPED|syscall.WCONTINUED|syscall.WNOHANG)
	if err != nil || info.signo == 0 {
		return Event{}, false
	}
	_, status := fields(&info)
	if sig := syscall.Signal(status); sig != syscall.SIGCONT {
		return Event{Kind: Stopped, Signal: sig}, true
	}

	return Event{Kind: Continued}, true
}

// fields returns the si_pid and the si_status of a SIGCHLD.
func fields(info *siginfo) (pid int, status int32) {
	const header, word = 12, unsafe.Sizeof(uintptr(0))
	const union = (header + word - 1) / word * word // si_pid, si_uid, si_status
	at := unsafe.Add(unsafe.Pointer(info), union)

	return int(*(*int32)(at)), *(*int32)(unsafe.Add(at, 8))
}

// collectCommand collects a child that has ended.
func collectCommand(pid int) (status syscall.WaitStatus) {
	_, _ = syscall.Wait4(pid, &status, 0, nil)

	return status
}
