package guard

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openProcess returns a descriptor of the process. It returns -1 if the process does not exist, or if the kernel is
// older than Linux 5.3.
func openProcess(pid int) int {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return -1
	}

	return fd
}

// processEnded reports whether the process has ended, also if its parent has not collected it.
func processEnded(fd int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)

	return err == nil && n > 0
}

func signalProcess(fd int, sig syscall.Signal) error { return unix.PidfdSendSignal(fd, sig, nil, 0) }

// awaitWithRuntime returns when the process has ended. It needs no thread meanwhile, which matters to a process that
// runs many COMMANDs. It fails if the runtime cannot wait for such descriptors.
func awaitWithRuntime(fd int) error {
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.SetNonblock(own, true); err != nil { // otherwise os.NewFile does not let the runtime wait
		unix.Close(own)

		return err
	}
	file := os.NewFile(uintptr(own), "process")
	defer file.Close()
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}

	return conn.Read(func(fd uintptr) bool { return processEnded(int(fd)) })
}

// await returns when the process has ended.
func (w *Watched) await() {
	if w.fd < 0 {
		w.poll()

		return
	}
	if awaitWithRuntime(w.fd) == nil {
		return
	}
	for {
		fds := []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
