//go:build unix

package watchman

import (
	"errors"
	"os/signal"
	"slices"
	"strconv"
	"syscall"

	"tenure/internal/clock"
)

// start starts COMMAND, unless the deadline has passed.
func (w *watchman) start(s *Start) {
	w.holder, w.task = s.Holder, s.Task
	if s.Stands != 0 {
		w.stands, _ = Watch(s.Stands) // it may have ended
	}
	e := Event{Kind: Started}
	files, err := w.sort(s)
	if e.Late = w.overdue(); !e.Late {
		if err == nil {
			e.PID, err = w.fork(s, files)
		}
		if err != nil {
			e.Errno = syscall.EIO
			if errno, ok := errors.AsType[syscall.Errno](err); ok {
				e.Errno = errno
			}
		}
	}
	w.command = e.PID
	w.say(e)
	if e.PID != 0 && w.lease.DSN != "" {
		clk := clock.Go()
		now := clk.Now()
		clk.NewAlarm(w.program.initialise).Set(now, now.Add(initialiseAfter))
	}
}

// sorted are the received files by purpose.
type sorted struct {
	stdio, pipe, state, lifelines []int
}

// terminal is the controlling terminal.
const terminal = "/dev/tty"

// stdio is the number of descriptors that every COMMAND has.
const stdio = 3

// sort finds the purpose of the received files, and joins the barrier.
func (w *watchman) sort(s *Start) (f sorted, err error) {
	rest := w.files
	take := func(n int, wanted bool) (fds []int) {
		switch {
		case !wanted:
		case len(rest) < n:
			err = syscall.EBADF
		default:
			fds, rest = rest[:n:n], rest[n:]
		}

		return fds
	}
	f.stdio, f.pipe, f.state = take(stdio, true), take(1, s.Pipe), take(1, s.State)
	if ends := take(2, s.Barrier); ends != nil { //nolint:mnd // a pipe has two
		w.member = member{joined: true, reader: ends[0], writer: ends[1]}
	}
	f.lifelines = take(s.Lifelines, true)

	return f, err
}

func (w *watchman) fork(s *Start, received sorted) (pid int, err error) {
	env := slices.Clone(s.Env)
	files := slices.Clone(received.stdio)
	for _, fd := range w.shell {
		for len(files) < fd {
			files = append(files, -1)
		}
		files = append(files, fd)
	}
	for _, fd := range received.state {
		if len(files) == stdio {
			files = append(files, -1)
		}
		files[stdio] = fd // descriptor 3
	}
	for _, fd := range received.pipe {
		number := stdio
		for number < len(files) && files[number] != -1 {
			number++
		}
		if number == len(files) {
			files = append(files, -1)
		}
		files[number] = fd
		env = append(env, "TENURE_FD="+strconv.Itoa(number))
	}
	// A lifeline stays open here, and in COMMAND under a number that scripts do not use.
	for i, fd := range received.lifelines {
		high, err := fcntl(fd, dupCloexec, max(len(files), 10+i))
		if err != nil {
			return 0, err
		}
		for len(files) < high {
			files = append(files, -1)
		}
		files = append(files, high)
	}
	attr := &syscall.ProcAttr{Dir: s.Dir, Env: env, Sys: &syscall.SysProcAttr{
		Setpgid: !s.NoTerminal, Setsid: s.NoTerminal, // a session is a process group too
	}}
	for _, fd := range files {
		attr.Files = append(attr.Files, uintptr(fd))
	}
	dieWithThread(attr.Sys)
	if s.Foreground {
		if fd, err := syscall.Open(terminal, syscall.O_RDWR|syscall.O_CLOEXEC|syscall.O_NOCTTY, 0); err == nil {
			defer syscall.Close(fd)
			attr.Sys.Foreground, attr.Sys.Ctty = true, fd
		}
	}
	for _, sig := range s.Ignored {
		if sig != syscall.SIGCHLD { // the guard could not wait for its children
			signal.Ignore(sig)
		}
	}
	pid, err = syscall.ForkExec(s.Path, s.Argv, attr)

	// A pipeline must not wait for the guard.
	for _, fd := range slices.Concat(w.shell, received.stdio, received.pipe, received.state) {
		_ = syscall.Close(fd)
	}

	return pid, err
}
