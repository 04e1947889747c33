//go:build unix

package guard

import (
	"errors"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"tenure/internal/tty"
)

// gcPercent keeps the heap of a guard small while it has almost nothing to do. It is not set earlier, because it would
// make the garbage collector run twice before COMMAND starts.
const gcPercent = 25

// start starts COMMAND, unless the deadline has passed.
func (w *watchman) start(s *start) {
	w.holder = s.Holder
	if s.Stands != 0 {
		w.stands, _ = Watch(s.Stands) // it may have ended
	}
	pid, err := w.fork(s)
	e := Event{Kind: Started, PID: pid}
	if err != nil {
		e.Errno = syscall.EIO
		if errno, ok := errors.AsType[syscall.Errno](err); ok {
			e.Errno = errno
		}
	}
	w.command = pid
	w.say(e)
	debug.SetGCPercent(gcPercent)
}

func (w *watchman) fork(s *start) (pid int, err error) {
	const stdio = 3
	if len(w.files) < stdio+s.Lifelines {
		return 0, syscall.EBADF
	}
	env := stringsOf(s.Env)
	files := append([]int{}, w.files[:stdio]...)
	rest := w.files[stdio:]
	for _, fd := range w.shell {
		for len(files) < fd {
			files = append(files, -1)
		}
		files = append(files, fd)
	}
	if s.Pipe {
		number := stdio
		for number < len(files) && files[number] != -1 {
			number++
		}
		if number == len(files) {
			files = append(files, -1)
		}
		files[number] = rest[0]
		rest = rest[1:]
		env = append(env, "TENURE_FD="+strconv.Itoa(number))
	}
	// A lifeline stays open here, and in COMMAND under a number that scripts do not use.
	for i, fd := range rest {
		high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, max(len(files), 10+i))
		if err != nil {
			return 0, err
		}
		for len(files) < high {
			files = append(files, -1)
		}
		files = append(files, high)
	}
	attr := &syscall.ProcAttr{Dir: string(s.Dir), Env: env, Sys: &syscall.SysProcAttr{Setpgid: true}}
	for _, fd := range files {
		attr.Files = append(attr.Files, uintptr(fd))
	}
	dieWithThread(attr.Sys)
	if s.Foreground {
		if fd, err := unix.Open(tty.Path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0); err == nil {
			defer unix.Close(fd)
			attr.Sys.Foreground, attr.Sys.Ctty = true, fd
		}
	}
	for _, sig := range s.Ignored {
		if sig != syscall.SIGCHLD { // the guard could not wait for its children
			signal.Ignore(sig)
		}
	}
	pid, err = syscall.ForkExec(string(s.Path), stringsOf(s.Argv), attr)

	// A pipeline must not wait for the guard.
	for _, fd := range append(w.shell, w.files[:len(w.files)-len(rest)]...) {
		_ = unix.Close(fd)
	}

	return pid, err
}
