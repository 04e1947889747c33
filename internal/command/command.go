// Package command runs COMMAND, a program of the user, under a lease. It starts COMMAND, stops it when the lease is in
// danger, and returns when COMMAND has ended.
//
// # Processes that are stopped
//
// COMMAND has its own process group. The processes that it starts are in the same group, except those that leave it, as
// daemons and the jobs of interactive shells do. Signals go to the whole group. Once [Command.Run] has begun to stop
// COMMAND, it waits for the whole group. When the lease is in danger, it kills all descendants of COMMAND in the end,
// also those that have left the group (on Linux). It also does so when KILL has ended COMMAND, whoever sent it: COMMAND
// had no chance to stop what it has started. Otherwise those keep running, like the background processes of a COMMAND
// that ends without being stopped: they are meant to outlive COMMAND, and run without the lease.
//
// A second process, the guard, does the same at the deadline of the lease if this process is frozen, and immediately if
// this process is killed: see package guard, also for what it cannot reach. If the guard is killed, Run stops COMMAND.
//
// # Signals and descriptors
//
// COMMAND starts with the signal mask and the dispositions that this process was started with, and with the descriptors
// that the shell has opened for this process. Without cgo, some dispositions are not known: see package disposition.
// While COMMAND runs, no signal that can be caught ends this process. HUP, INT, QUIT and TERM, and other signals whose
// default action ends a process, are passed on to COMMAND and begin a graceful stop. ALRM, CONT, USR1, USR2 and WINCH
// are passed on.
//
// TENURE_FD names a descriptor of COMMAND. COMMAND can read from it: a line with the deadline of the lease (RFC 3339)
// at the start and at each renewal, the line "danger" when the lease is in danger, and the end of the file when the
// lease is lost or this process has ended. Lines are dropped while COMMAND does not read.
//
// # Terminals
//
// The terminal is the controlling terminal, /dev/tty, whatever stdin is. If this process is in the foreground, COMMAND
// gets the foreground when it needs it: when the system stops it by SIGTTIN or SIGTTOU. It gets the foreground from the
// start if this process leads its process group and stdin, stdout and stderr are not pipes, as after "lock x -- cmd" at
// the prompt of a shell. Then Ctrl-C reaches COMMAND only. Otherwise it reaches this process too, and the script or the
// pipeline that this process belongs to; this process passes it on. COMMAND gets each key and each change of the window
// size once in all cases.
//
// If another process of this process's group needs the terminal while COMMAND has it, such as the pager in "lock x --
// cmd | less", that group gets the foreground again. When COMMAND has ended, this process takes the foreground back. It
// does not restore the settings of the terminal.
//
// # Job control
//
// Ctrl-Z, "fg" and "bg" act on this process and COMMAND together:
//
//   - When SIGTSTP stops COMMAND, or when COMMAND needs the terminal in the background, this process stops its own
//     process group, as the terminal would have done. SIGCONT continues both.
//   - SIGTSTP to this process stops COMMAND first. A COMMAND that ignores the signal keeps running.
//   - If no shell could continue this process, because its process group is orphaned, or if it was started to ignore
//     SIGTSTP, it does not stop, and it continues a COMMAND that SIGTSTP has stopped. It reports a COMMAND that needs
//     the terminal and cannot get it.
//   - It reports a COMMAND that SIGSTOP has stopped, and does not stop itself.
//
// Before this process stops, it hands the embedded server over ([cli.Stops]). While it is stopped, it does not renew
// the lease: the guard kills COMMAND before the lease ends. Only stops of COMMAND itself are noticed, not those of
// processes that it has started: programs such as timeout(1) do not stop together with their children.
//
// # Pooled COMMANDs
//
// A process can run several COMMANDs at the same time, each with its own Command, lease and guard. Such a COMMAND is
// pooled ([Command.Pooled]). It differs from others in these points:
//
//   - It has no terminal: it leads a session of its own.
//   - It does not get the signals of this process. The caller decides when it stops: at the end of ctx, gracefully,
//     with Signal whatever the cause is; when Kill is closed, immediately.
//   - It runs while this process is stopped by SIGTSTP, until its guard kills it before its lease ends. If a signal
//     stops COMMAND itself, Run reports that.
//   - Nothing that it has started outlives it: Run kills all of its descendants if they do not end within a second
//     after COMMAND. The task may already run elsewhere soon.
//   - Its output does not delay its end. While it is being stopped, and when it has ended, Run does not wait for a
//     Stdout or Stderr that blocks (see [Impatient]).
//   - After the end of this process, the guards of a session end the session when all COMMANDs of the session are gone.
//
// # State
//
// If State is set, descriptor 3 of COMMAND is a pipe. Each line that COMMAND writes to it is a complete state of at
// most 1 MiB, which replaces the previous one. A line without a newline at the end of the output is not a state:
// COMMAND may have been killed while it wrote it.
package command

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tenure/internal/cli"
	"tenure/internal/clientauth"
	"tenure/internal/shell"
)

// Exit codes of a command that runs COMMAND, in addition to those of COMMAND and of package cli.
const (
	ExitLost     = 123 // the lease was lost and COMMAND was stopped
	ExitUnusable = 126 // COMMAND was found but cannot run
	ExitNotFound = 127 // COMMAND was not found

	ExitSignal = 128 // plus the number of the signal that ended COMMAND
)

// ErrTimeIsUp as the cause of the end of a context means that COMMAND has had its time. It is then killed after
// StopTimeout, or after Grace if StopTimeout is 0.
var ErrTimeIsUp = errors.New("its time is up")

// A Command describes a COMMAND and how to run and stop it.
type Command struct {
	Path string   // the path of the program, from Look
	Argv []string // the arguments of the program; the first is its name
	Env  []string // NAME=value, in addition to the variables of this process

	Stdin          io.Reader // COMMAND inherits a file directly; nil: the null device
	Stdout, Stderr io.Writer

	// Stands is the id of a process that COMMAND stands for (watchman.Watcher), and that is killed with COMMAND; 0: none.
	Stands int

	Signal      syscall.Signal // asks COMMAND to stop
	Grace       time.Duration  // the lease is in danger when so much of it is left; KILL follows in time before its end
	StopTimeout time.Duration  // the time between Signal and KILL if the lease is not in danger; 0: no limit

	// Pooled makes COMMAND one of several of this process. See "Pooled COMMANDs".
	Pooled bool
	Task   string // of a pooled COMMAND: what it works on, for messages

	// Kill is closed if COMMAND must be killed immediately. It may be nil.
	Kill <-chan struct{}

	// State is called with each state of COMMAND, in order, from one goroutine. While it runs, only the newest of the
	// states that arrive is kept. Run returns after the last call, so State must return soon when the lease has ended. If
	// it is nil, COMMAND has no descriptor for its state.
	State func(state []byte)

	// Heard is called when COMMAND has written to stdout or stderr, if they are not files, or has written a state. It may
	// be called from several goroutines at the same time, and must not block. It may be nil.
	Heard func()

	// Lifelines are files that stay open, in addition to those of the session, as long as the guard, COMMAND, or a process
	// that COMMAND has started runs.
	Lifelines []*os.File

	Name string              // describes this process in lists of processes, for its guard: "lock deploy"
	DSN  string              // the server, for the guard, which ends the session; empty for the embedded server
	Auth clientauth.Settings // how the guard identifies itself to that server

	Stops *cli.Stops // handles SIGTSTP while COMMAND does not run; may be nil

	// Observe is called with each event. It must not block: the deadline of the lease does not wait. It may be nil.
	Observe func(Event)

	guards spare
}

// Look returns the path of the program that a shell would run for this name. The error is a [*cli.ExitError].
func Look(name string) (string, error) {
	path, err := exec.LookPath(name)
	switch {
	case err == nil, errors.Is(err, exec.ErrDot): // the current directory counts if it is in PATH
		return path, nil
	case errors.Is(err, exec.ErrNotFound):
		for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
			path := cmp.Or(dir, ".") + "/" + name
			if _, err := exec.LookPath(path); errors.Is(err, fs.ErrPermission) {
				return "", unusable(path, err)
			}
		}

		return "", notFound(name, "check its name, or write its path")
	case errors.Is(err, fs.ErrNotExist):
		return "", notFound(name, "check its path")
	}

	return "", unusable(name, err)
}

func notFound(name, hint string) error {
	if strings.ContainsAny(name, " \t\n|&;<>()$`*?") {
		hint = "to run it in a shell, write --shell " + shell.Quote(name)
	}

	return &cli.ExitError{Code: ExitNotFound, Err: fmt.Errorf("command not found: %q: %s", name, hint)}
}

// unusable returns an ExitError that explains why the program cannot run. The err is an error of package exec.
func unusable(path string, err error) error {
	why := err
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		why = errno // without the path, which the text below contains
	}
	hint := ""
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOEXEC):
		hint = ": make it executable, with #! and its interpreter in the first line, or name the interpreter: sh " + path
	case errors.Is(err, fs.ErrNotExist):
		hint = ": the interpreter in its first line is missing"
	}

	return &cli.ExitError{Code: ExitUnusable, Err: fmt.Errorf("cannot run %q: %w%s", path, why, hint)}
}

// Environment returns the variables that describe the lock to COMMAND: TENURE_TOKEN with the fencing token of a single
// lock, or TENURE_TOKENS with a line name=token for each of several, and the names in TENURE_SEMAPHORE, one per line.
func Environment(sessionID uint64, node string, tokens map[string]uint64) []string {
	names := slices.Sorted(maps.Keys(tokens))
	env := []string{
		"TENURE_NODE=" + node,
		"TENURE_SEMAPHORE=" + strings.Join(names, "\n"),
		"TENURE_SESSION_ID=" + strconv.FormatUint(sessionID, 10),
	}
	if len(names) == 1 {
		return append(env, "TENURE_TOKEN="+strconv.FormatUint(tokens[names[0]], 10))
	}
	lines := make([]string, len(names))
	for i, name := range names {
		lines[i] = name + "=" + strconv.FormatUint(tokens[name], 10)
	}

	return append(env, "TENURE_TOKENS="+strings.Join(lines, "\n"))
}

// ParseSignal parses a signal: a name with or without SIG, in any case, or a number.
func ParseSignal(text string) (syscall.Signal, error) {
	if n, err := strconv.Atoi(text); err == nil && n > 0 && n <= maxSignal {
		return syscall.Signal(n), nil
	}
	if sig := signalNum("SIG" + strings.TrimPrefix(strings.ToUpper(text), "SIG")); sig != 0 {
		return sig, nil
	}

	return 0, fmt.Errorf("%q is not a signal: write its name or its number, e.g. TERM, INT or 15", text)
}

// maxSignal is the highest signal number on Linux. Other systems have fewer signals and refuse to send higher numbers.
const maxSignal = 64
