//go:build unix

package main

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// bind listens on a Unix socket with the mode socketMode. The umask of the process gives it that mode from the
// beginning, so that nobody else can connect before the mode is changed. Nothing else runs in the process yet.
func bind(path string) (*net.UnixListener, error) {
	old := unix.Umask(0o777 &^ socketMode)
	defer unix.Umask(old)

	return net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
}

// usable reports whether this process can list the directory and create files in it.
func usable(dir string) bool { return unix.Access(dir, unix.R_OK|unix.W_OK|unix.X_OK) == nil }

// creatable reports whether this process can create files in the directory.
func creatable(dir string) bool { return unix.Access(dir, unix.W_OK|unix.X_OK) == nil }

// hasTerminal reports whether the process has a controlling terminal that has not hung up.
func hasTerminal() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	_ = tty.Close()

	return true
}
