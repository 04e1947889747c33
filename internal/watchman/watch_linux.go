package watchman

import (
	"errors"
	"os"
	"syscall"
)

// openProcess returns a descriptor of the process. It returns -1 if the process does not exist, or if the kernel is
// older than Linux 5.3.
func openProcess(pid int) int {
	fd, err := pidfdOpen(pid)
	if err != nil {
		return -1
	}

	return fd
}

// processEnded reports whether the process has ended, also if its parent has not collected it.
func processEnded(fd int) bool {
	n, err := poll([]pollFd{{Fd: int32(fd), Events: pollIn}}, 0)

	return err == nil && n > 0
}

func signalProcess(fd int, sig syscall.Signal) error { return pidfdSignal(fd, sig) }

// awaitWithRuntime returns when the process has ended. It needs no thread meanwhile, which matters to a process that
// runs many COMMANDs. It fails if the runtime cannot wait for such descriptors.
func awaitWithRuntime(fd int) error {
	own, err := fcntl(fd, dupCloexec, 0)
	if err != nil {
		return err
	}
	if err := syscall.SetNonblock(own, true); err != nil { // otherwise os.NewFile does not let the runtime wait
		syscall.Close(own)

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
		fds := []pollFd{{Fd: int32(w.fd), Events: pollIn}}
		if _, err := poll(fds, -1); !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}
