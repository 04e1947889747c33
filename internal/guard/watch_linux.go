package guard

import (
	"errors"
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

// await returns when the process has ended.
func (w *Watched) await() {
	if w.fd < 0 {
		w.poll()

		return
	}
	for {
		fds := []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
