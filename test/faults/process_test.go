//go:build linux

package faults

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A handle is a process, which may not be a child of this one. A later process with the same id is never mistaken for
// it.
type handle struct {
	t   *testing.T
	pid int
	fd  int
}

// handleOf returns a handle of a process that is alive.
func (s *stage) handleOf(pid int) *handle {
	s.t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = unix.Close(fd) })
	require.Contains(s.t, s.living(), pid, "a process of this stage")

	return &handle{s.t, pid, fd}
}

// send sends a signal to the process, which must not have ended.
func (h *handle) send(sig syscall.Signal) {
	h.t.Helper()
	require.False(h.t, h.ended(), "the process is alive")
	require.NoError(h.t, unix.PidfdSendSignal(h.fd, sig, nil, 0))
}

// ended reports whether the process has ended, also if its parent has not collected it.
func (h *handle) ended() bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(h.fd), Events: unix.POLLIN}}, 0)

	return err == nil && n > 0
}

// suspend suspends the process and waits until it is suspended.
func (h *handle) suspend() {
	h.t.Helper()
	h.send(syscall.SIGSTOP)
	require.Eventually(h.t, func() bool { return state(h.pid) == 'T' }, soon, look)
}

// stat returns the fields of /proc/PID/stat from the state on, or nil if there is no such process.
func stat(pid int) []string {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return nil
	}

	return strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
}

func state(pid int) byte {
	if fields := stat(pid); len(fields) > 0 {
		return fields[0][0]
	}

	return 0
}

// living returns the processes of the stage that have not ended, with their command lines.
func (s *stage) living() map[int]string {
	s.t.Helper()
	all, err := os.ReadDir("/proc")
	require.NoError(s.t, err)
	found := map[int]string{}
	for _, entry := range all {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// The environment of a process that has ended is empty.
		env, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "environ"))
		if err != nil || !bytes.Contains(env, []byte(stageVariable+"="+s.dir+"\x00")) {
			continue
		}
		words, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		found[pid] = string(bytes.ReplaceAll(bytes.TrimRight(words, "\x00"), []byte{0}, []byte{' '}))
	}

	return found
}

// A process is one that the test has started.
type process struct {
	*handle

	stage  *stage
	name   string
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process has been collected
}

// start starts one of our commands. It prints to files, unless errs is set.
func (s *stage) start(name string, errs *os.File, role, command string, args ...string) *process {
	s.t.Helper()
	p := &process{
		stage: s, name: name, cmd: exec.Command(filepath.Join(scratch, command), args...), exited: make(chan struct{}),
	}
	p.cmd.Env = []string{
		"HOME=" + s.dir, "PATH=" + os.Getenv("PATH"), "YDB_ANONYMOUS_CREDENTIALS=1", "TENURE_CONFIG=/dev/null",
		"GORACE=halt_on_error=1 atexit_sleep_ms=0", stageVariable + "=" + s.dir, roleVariable + "=" + role,
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // if this process dies
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = s.lives, s.file(name+".stdout"), errs
	if errs == nil {
		p.cmd.Stderr = s.file(name + ".stderr")
	}
	require.NoError(s.t, p.cmd.Start())
	p.handle = &handle{t: s.t, pid: p.cmd.Process.Pid}
	var err error
	p.fd, err = unix.PidfdOpen(p.pid, 0)
	require.NoError(s.t, err)
	go func() { // ends with the process
		defer close(p.exited)
		_ = p.cmd.Wait() // ProcessState has the result
	}()
	s.t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // fails if it has ended
		<-p.exited
		_ = unix.Close(p.fd)
	})

	return p
}

func (s *stage) file(name string) *os.File {
	s.t.Helper()
	f, err := os.OpenFile(filepath.Join(s.dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { f.Close() })

	return f
}

// code waits for the end of the process and returns its exit code, or -n if signal n has ended it.
func (p *process) code() int {
	p.t.Helper()
	p.stage.until(p.name+" ends", func() bool {
		select {
		case <-p.exited:
			return true
		default:
			return false
		}
	})
	status := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() { //nolint:misspell // the spelling of the standard library
		return -int(status.Signal())
	}

	return status.ExitStatus()
}

// printed reports whether the process has printed the text.
func (p *process) printed(text string) bool {
	for _, via := range []string{".stdout", ".stderr"} {
		all, err := os.ReadFile(filepath.Join(p.stage.dir, p.name+via))
		if err == nil && bytes.Contains(all, []byte(text)) {
			return true
		}
	}

	return false
}

// A reader is what became of the reader of a pipe to which the holder prints.
type reader string

const (
	full   reader = "full"   // it does not read, and the pipe is full
	broken reader = "broken" // it has closed the pipe
)

// pipe returns the pipe, and a function that reports whether it is still full, or broken.
func (r reader) pipe(t *testing.T) (w *os.File, holds func() bool) {
	t.Helper()
	out, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { out.Close(); w.Close() })
	conn, err := w.SyscallConn()
	require.NoError(t, err)
	var events int16
	if r == broken {
		require.NoError(t, out.Close())
		events = unix.POLLERR
	} else {
		// The descriptor does not block before a process inherits it.
		require.NoError(t, conn.Write(func(fd uintptr) bool {
			for err == nil {
				_, err = syscall.Write(int(fd), make([]byte, os.Getpagesize()))
			}

			return true
		}))
		require.ErrorIs(t, err, syscall.EAGAIN)
	}

	return w, func() bool {
		var got int16
		require.NoError(t, conn.Control(func(fd uintptr) {
			ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
			_, err = unix.Poll(ready, 0)
			got = ready[0].Revents & (events | unix.POLLOUT)
			if r == broken {
				got = ready[0].Revents & unix.POLLERR
			}
		}))
		require.NoError(t, err)

		return got == events
	}
}
