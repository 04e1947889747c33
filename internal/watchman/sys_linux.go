//go:build linux && (amd64 || arm64)

package watchman

import (
	"syscall"
	"unsafe"
)

// These are system calls that package syscall does not have. See the package comment for why package unix does not
// serve here.

const (
	dupCloexec = syscall.F_DUPFD_CLOEXEC

	sysPidfdSendSignal = 424
	sysPidfdOpen       = 434
)

func poll(fds []pollFd, milliseconds int) (n int, err error) {
	var limit *syscall.Timespec
	if milliseconds >= 0 {
		limit = new(syscall.NsecToTimespec(int64(milliseconds) * 1e6))
	}
	r, _, errno := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(fds))), uintptr(len(fds)),
		uintptr(unsafe.Pointer(limit)), 0, 0, 0)

	return int(r), failed(errno)
}

func fcntl(fd, command, argument int) (result int, err error) {
	r, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), uintptr(command), uintptr(argument))

	return int(r), failed(errno)
}

func prctl(option int, argument uintptr) error {
	_, _, errno := syscall.Syscall6(syscall.SYS_PRCTL, uintptr(option), argument, 0, 0, 0, 0)

	return failed(errno)
}

func setName(name *byte) { _ = prctl(syscall.PR_SET_NAME, uintptr(unsafe.Pointer(name))) }

func waitid(of, pid int, info *siginfo, options int) error {
	_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, uintptr(of), uintptr(pid), uintptr(unsafe.Pointer(info)),
		uintptr(options), 0, 0)

	return failed(errno)
}

func timerfdCreate(clock, flags int) (fd int, err error) {
	r, _, errno := syscall.Syscall(syscall.SYS_TIMERFD_CREATE, uintptr(clock), uintptr(flags), 0)

	return int(r), failed(errno)
}

// timerfdSet lets the timer expire at an absolute time, once.
func timerfdSet(fd int, nanoseconds int64) error {
	spec := [2]syscall.Timespec{1: syscall.NsecToTimespec(nanoseconds)} // the first is the interval
	_, _, errno := syscall.Syscall6(syscall.SYS_TIMERFD_SETTIME, uintptr(fd), timerAbsolute,
		uintptr(unsafe.Pointer(&spec)), 0, 0, 0)

	return failed(errno)
}

func pidfdOpen(pid int) (fd int, err error) {
	r, _, errno := syscall.Syscall(sysPidfdOpen, uintptr(pid), 0, 0)

	return int(r), failed(errno)
}

func pidfdSignal(fd int, sig syscall.Signal) error {
	_, _, errno := syscall.Syscall6(sysPidfdSendSignal, uintptr(fd), uintptr(sig), 0, 0, 0, 0)

	return failed(errno)
}

// shield keeps SIGTTOU from stopping this process when the calling thread writes to the terminal.
func shield() {
	const block = 0 // SIG_BLOCK
	set := uint64(1) << (syscall.SIGTTOU - 1)
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, block, uintptr(unsafe.Pointer(&set)), 0,
		unsafe.Sizeof(set), 0, 0)
}

func failed(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}

	return errno
}
