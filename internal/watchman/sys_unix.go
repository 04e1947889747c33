//go:build unix && !(linux && (amd64 || arm64))

package watchman

import "golang.org/x/sys/unix"

const dupCloexec = unix.F_DUPFD_CLOEXEC

func poll(fds []pollFd, milliseconds int) (n int, err error) {
	all := make([]unix.PollFd, len(fds))
	for i, fd := range fds {
		all[i] = unix.PollFd(fd)
	}
	n, err = unix.Poll(all, milliseconds)
	for i, fd := range all {
		fds[i] = pollFd(fd)
	}

	return n, err
}

func fcntl(fd, command, argument int) (result int, err error) {
	return unix.FcntlInt(uintptr(fd), command, argument)
}
