//go:build linux && (amd64 || arm64)

package cli

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// StopSelf stops the process by the default action of SIGTSTP and returns when the process continues. The default
// action has no effect in an orphaned process group, because no shell could continue its processes. In this case
// StopSelf returns immediately.
//
// Package signal cannot restore the default action: the handler of Go stays installed after [signal.Reset]. SIGSTOP
// would stop an orphaned process group forever. So StopSelf sets the action itself while it stops the process.
func StopSelf() { stop(func() {}) }

// StopGroup is like StopSelf for all processes of the process group, as if the user had typed Ctrl-Z. The others may
// handle the signal in their own way.
func StopGroup() { stop(func() { _ = unix.Kill(0, unix.SIGTSTP) }) }

// stop calls before, during which this process ignores SIGTSTP, and then stops.
func stop(before func()) {
	runtime.LockOSThread() // the signal must take effect in this thread before Tgkill returns
	defer runtime.UnlockOSThread()
	var handler, def sigaction
	if sigactionOf(unix.SIGTSTP, &sigaction{handler: ignore}, &handler) != nil {
		return
	}
	before()
	if sigactionOf(unix.SIGTSTP, &def, nil) == nil {
		_ = unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGTSTP)
	}
	_ = sigactionOf(unix.SIGTSTP, &handler, nil)
}

// ignored reports whether the process ignores the signal.
func ignored(sig syscall.Signal) bool {
	var action sigaction

	return sigactionOf(sig, nil, &action) == nil && action.handler == ignore
}

const ignore = 1 // SIG_IGN

// sigaction is the kernel's struct sigaction. Its zero value stands for the default action.
type sigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

// sigactionOf sets the action of the signal unless set is nil, and stores the previous one in old unless old is nil.
func sigactionOf(sig syscall.Signal, set, old *sigaction) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(set)),
		uintptr(unsafe.Pointer(old)), unsafe.Sizeof(sigaction{}.mask), 0, 0)
	if errno != 0 {
		return errno
	}

	return nil
}
