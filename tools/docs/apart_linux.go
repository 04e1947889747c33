package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

const insideVariable = "TENURE_DOCS_APART" // set in the process that has the network namespace

// entered reports whether this process has been started in a network namespace of its own, which it then prepares.
func entered() (bool, error) {
	if os.Getenv(insideVariable) == "" {
		return false, nil
	}

	return true, loopback()
}

// apart runs this program again, in a network namespace of its own. It reports false if the system does not allow that.
func apart(ctx context.Context) (bool, error) {
	self, err := os.Executable()
	if err != nil {
		return false, err
	}
	again := exec.CommandContext(ctx, self, os.Args[1:]...)
	again.Cancel = func() error { return again.Process.Signal(syscall.SIGTERM) }
	again.Env = append(os.Environ(), insideVariable+"=1")
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := again.Start(); errors.Is(err, syscall.EPERM) {
		return false, nil
	} else if err != nil {
		return false, err
	}

	return true, again.Wait()
}

// loopback activates the loopback interface, which a new network namespace has inactive.
func loopback() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(socket)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(socket, unix.SIOCGIFFLAGS, request); err != nil {
		return os.NewSyscallError("SIOCGIFFLAGS", err)
	}
	request.SetUint16(request.Uint16() | unix.IFF_UP)

	return os.NewSyscallError("SIOCSIFFLAGS", unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request))
}
