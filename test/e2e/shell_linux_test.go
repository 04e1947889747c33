package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
)

// Keys of a terminal.
const (
	ctrlC         = "\x03"
	ctrlZ         = "\x1a"
	ctrlBackslash = "\x1c"
)

// prompt is the prompt of the user's shell.
const prompt = "prompt> "

// A terminal is a terminal whose user runs a shell, or another command, that may run lock.
type terminal struct {
	t    *testing.T
	dir  string
	cmd  *exec.Cmd
	side *os.File // of the user

	mu     sync.Mutex // guards all
	all    []byte     // what was printed
	behind int        // the end of what the user has read
}

// newTerminal runs the command in the foreground of a new terminal, as the leader of its session.
func newTerminal(t *testing.T, argv ...string) *terminal {
	t.Helper()
	require.NoError(t, build())
	dir, err := os.MkdirTemp(scratch, "tty") //nolint:usetesting // a socket's path must be short, and t.TempDir's is not
	require.NoError(t, err)
	term := &terminal{t: t, dir: dir, cmd: exec.Command(argv[0], argv[1:]...)}
	term.cmd.Dir = dir
	term.cmd.Env = append(environment(dir), "PATH="+scratch+":"+os.Getenv("PATH"), "TENURE_DIR="+dir+"/state",
		"TERM=vt100", "LESS=", "PS1="+prompt, "HISTFILE=", "ENV=")
	term.side, err = pty.StartWithSize(term.cmd, &pty.Winsize{Rows: 24, Cols: 80})
	require.NoError(t, err)
	read := make(chan struct{})
	go func() { // ends when no process has the terminal, or side is closed
		defer close(read)
		buffer := make([]byte, 4096)
		for {
			n, err := term.side.Read(buffer)
			term.mu.Lock()
			term.all = append(term.all, buffer[:n]...)
			term.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		term.killSession()
		_ = term.cmd.Wait()
		term.side.Close()
		<-read
	})

	return term
}

// newShell runs an interactive shell in a new terminal. It does not echo what the user types.
func newShell(t *testing.T, shell string) *terminal {
	t.Helper()
	argv := []string{shell, "-i"}
	if shell == "bash" {
		argv = []string{shell, "--norc", "--noprofile", "--noediting", "-i"}
	}
	term := newTerminal(t, argv...)
	term.sees(regexp.QuoteMeta(prompt))
	term.enters("stty -echo")
	term.prompted()

	return term
}

// killSession kills all processes of the session.
func (t *terminal) killSession() {
	leader := t.cmd.Process.Pid
	all, _ := os.ReadDir("/proc")
	for _, entry := range all {
		if pid, err := strconv.Atoi(entry.Name()); err == nil && statOf(pid, 3) == strconv.Itoa(leader) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
		}
	}
}

// statOf returns a field of /proc/PID/stat: 0 is the state, 3 the session, 5 the group in the foreground of the
// terminal. It returns "" if there is no such process.
func statOf(pid, field int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))

	return fields[field]
}

// types enters the keys.
func (t *terminal) types(keys string) {
	t.t.Helper()
	_, err := t.side.WriteString(keys)
	require.NoError(t.t, err)
}

// enters types a line and the return key.
func (t *terminal) enters(line string) {
	t.t.Helper()
	t.types(line + "\n")
}

// sees waits until the terminal shows a text that matches, after what was seen before. It returns the submatches.
func (t *terminal) sees(pattern string) []string {
	t.t.Helper()
	expr := regexp.MustCompile(pattern)
	var found []string
	t.until("the terminal shows "+pattern, func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		text := t.all[t.behind:]
		at := expr.FindSubmatchIndex(text)
		if at == nil {
			return false
		}
		found = nil
		for i := 0; i < len(at); i += 2 {
			found = append(found, string(text[at[i]:at[i+1]]))
		}
		t.behind += at[1]

		return true
	})

	return found
}

// prompted waits until the shell asks for a command. The foreground is then the shell's.
func (t *terminal) prompted() {
	t.t.Helper()
	t.sees(regexp.QuoteMeta(prompt))
}

// seesPID waits for a line "pid=N" and returns N.
func (t *terminal) seesPID() int {
	t.t.Helper()
	pid, err := strconv.Atoi(t.sees(`pid=(\d+)\r`)[1])
	require.NoError(t.t, err)

	return pid
}

// count returns how often the terminal has shown the text.
func (t *terminal) count(text string) int {
	t.mu.Lock()
	defer t.mu.Unlock()

	return bytes.Count(t.all, []byte(text))
}

func (t *terminal) until(what string, met func() bool) {
	t.t.Helper()
	for limit := time.Now().Add(soon); !met(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(limit) {
			t.mu.Lock()
			defer t.mu.Unlock()
			require.FailNow(t.t, "waited for too long until "+what, "%s\nread up to %d:\n%s", t.processes(), t.behind, t.all)
		}
	}
}

// processes lists the processes of the session.
func (t *terminal) processes() string {
	ps := exec.Command("ps", "-s", strconv.Itoa(t.cmd.Process.Pid), "-o", "pid,pgid,tpgid,stat,wchan:20,args")
	out, _ := ps.CombinedOutput()

	return string(out)
}

// becomes waits until the process is in one of the states, as in /proc/PID/stat.
func (t *terminal) becomes(pid int, states string) {
	t.t.Helper()
	t.until(fmt.Sprintf("process %d is in one of the states %s", pid, states), func() bool {
		state := statOf(pid, 0)

		return state != "" && strings.Contains(states, state)
	})
}

// stopped waits until the shell has noticed that its job is stopped. Before that, fg would not continue it.
func (t *terminal) stopped() {
	t.t.Helper()
	for state := ""; state != "Stopped"; {
		t.enters("jobs")
		state = t.sees("(Stopped|Running)")[1]
		t.prompted()
	}
}

// foreground enters fg and waits until the job of lock is in the foreground.
func (t *terminal) foreground(lock int) {
	t.t.Helper()
	t.enters("fg")
	t.until("lock or COMMAND is in the foreground", func() bool {
		front := statOf(lock, 5)

		return front != "" && front != statOf(lock, 3) // the shell leads its session
	})
}

// ends waits until the process has ended.
func (t *terminal) ends(pid int) {
	t.t.Helper()
	t.until(fmt.Sprintf("process %d ends", pid), func() bool { return strings.Contains("XZ", statOf(pid, 0)) })
}

// lockOf returns the process id of the lock that runs this COMMAND.
func (t *terminal) lockOf(pid int) int {
	t.t.Helper()
	for range 2 { // the guard, then lock
		var err error
		pid, err = strconv.Atoi(statOf(pid, 1))
		require.NoError(t.t, err)
	}

	return pid
}

// script writes a shell script and returns its path, which contains no blanks.
func (t *terminal) script(name, text string) string {
	t.t.Helper()
	path := filepath.Join(t.dir, name)
	require.NoError(t.t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700))

	return path
}

// gate creates a file that a script can read a line from when open is called. A script that waits for that starts no
// process, which Ctrl-Z would stop before the script.
func (t *terminal) gate(name string) (open func()) {
	t.t.Helper()
	path := filepath.Join(t.dir, name)
	require.NoError(t.t, syscall.Mkfifo(path, 0o600))

	return func() {
		t.t.Helper()
		t.until("a script reads "+name, func() bool {
			f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
			if err != nil { // there is no reader yet
				return false
			}
			_, err = f.WriteString("\n")
			require.NoError(t.t, err)

			return f.Close() == nil
		})
	}
}

// each runs the test with each shell that is installed.
func each(t *testing.T, test func(t *testing.T, term *terminal)) {
	t.Helper()
	for _, shell := range []string{"bash", "dash"} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			needs(t, shell)
			test(t, newShell(t, shell))
		})
	}
}
