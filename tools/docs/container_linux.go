package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// contain returns a command that is process 1 of a PID namespace with its own /proc, as in a container. Where the
// system does not allow that, it is an ordinary process.
func (s *stage) contain(ctx context.Context, dir string, argv []string) *exec.Cmd {
	const mount = `mount -t proc none /proc && exec "$@"`
	inside := func(argv ...string) *exec.Cmd {
		cmd := s.command(ctx, dir, "/bin/sh", append([]string{"-c", mount, "sh"}, argv...)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS}
		if os.Getuid() != 0 {
			cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		}

		return cmd
	}
	if err := inside("true").Run(); err != nil {
		fmt.Fprintln(s.out, "no PID namespace can be created here, so the container is an ordinary process:", err)

		return s.command(ctx, dir, argv[0], argv[1:]...)
	}

	return inside(argv...)
}
