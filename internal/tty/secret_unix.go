//go:build unix

package tty

import (
	"bufio"
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ReadSecret prints a prompt on the controlling terminal and returns the line that the user types there, which the
// terminal does not show. When ctx ends, it returns the cause. The terminal is as before when ReadSecret returns, and
// also if a second signal ends the process.
func ReadSecret(ctx context.Context, prompt string) (line string, err error) {
	f, err := os.OpenFile(Path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	before, err := control(f, nil)
	if err != nil {
		return "", err
	}
	quiet := *before
	quiet.Lflag &^= unix.ECHO
	quiet.Lflag |= unix.ECHONL // so that the next message begins on a line of its own
	restore := func() { _, _ = control(f, before) }
	stop := context.AfterFunc(ctx, func() {
		restore()
		_ = f.SetReadDeadline(time.Unix(1, 0)) // ends the read, if the system can
	})
	defer stop()
	defer restore()
	if _, err = control(f, &quiet); err != nil {
		return "", err
	}
	if _, err = f.WriteString(prompt); err != nil {
		return "", err
	}
	line, err = bufio.NewReader(f).ReadString('\n')
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}

	return strings.TrimSuffix(line, "\n"), err
}

// control sets the settings of a terminal, unless they are nil, and returns the ones before.
func control(f *os.File, settings *unix.Termios) (before *unix.Termios, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		if before, failed = unix.IoctlGetTermios(int(fd), getSettings); failed == nil && settings != nil {
			failed = unix.IoctlSetTermios(int(fd), setSettings, settings)
		}
	})

	return before, errors.Join(err, failed)
}
