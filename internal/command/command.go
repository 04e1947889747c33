// Package command runs COMMAND, a program of the user's, under a lease: it starts it, stops it when the lease is in
// danger, and does not return before it has ended.
//
// # What is stopped
//
// COMMAND has a process group of its own, and what it starts is in it too, unless that leaves it, as daemons and the
// jobs of interactive shells do. Signals go to the whole group, and once COMMAND was to be stopped, the whole group is
// awaited and, when the time is up, killed. What has left the group, and what belongs to another user (sudo), is out of
// reach. When COMMAND ends by itself, what is left of its group is left alone: whoever starts something in the
// background means it to stay. It runs on without the lease; if the session has a lifeline, it has inherited that, and
// the lease is not passed on before its timeout.
//
// If the process of Run is killed (KILL), so is COMMAND, on Linux, but not what COMMAND has started.
//
// # Terminals
//
// If stdin is a terminal with this process in front, COMMAND is in front while it runs: it can read, and Ctrl-C is its
// own. Other processes of a pipeline are in the background meanwhile and can't read the terminal, such as the pager in
// "lock x -- cmd | less". Ctrl-Z does nothing, as long as COMMAND does not ask for it: this process would not notice
// that COMMAND stands still, and would hold the lease for it.
package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/cli"
)

// Exit codes of a command that runs COMMAND, beside those of COMMAND itself and those of package cli.
const (
	ExitLost     = 123 // the lease was lost and COMMAND was stopped
	ExitUnusable = 126 // COMMAND is there and cannot run
	ExitNotFound = 127

	ExitSignal = 128 // and the number of the signal that ended COMMAND
)

// A Command is a COMMAND and how to run it.
type Command struct {
	Path string   // of the program, from Look
	Argv []string // its arguments; the first is its name
	Env  []string // NAME=value, beside the variables of this process

	Stdin          io.Reader // a file is COMMAND's own, as it is; so is nil, which is the null device
	Stdout, Stderr io.Writer

	Signal syscall.Signal // asks COMMAND to stop
	Grace  time.Duration  // from then to KILL

	Warn func(error) // is told what a person must know while COMMAND is being stopped
}

// Look returns the path of the program that a shell would run by the name. The error is a [*cli.ExitError].
func Look(name string) (string, error) {
	path, err := exec.LookPath(name)
	switch {
	case err == nil, errors.Is(err, exec.ErrDot): // who has the current directory in PATH wants it searched
		return path, nil
	case errors.Is(err, exec.ErrNotFound):
		for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
			path := cmp.Or(dir, ".") + "/" + name
			if _, err := exec.LookPath(path); errors.Is(err, fs.ErrPermission) {
				return "", unusable(path, err)
			}
		}

		return "", &cli.ExitError{Code: ExitNotFound, Err: fmt.Errorf(
			"there is no COMMAND %q in PATH: check its name, or write its path", name)}
	case errors.Is(err, fs.ErrNotExist):
		return "", notFound(name)
	}

	return "", unusable(name, err)
}

func notFound(path string) error {
	return &cli.ExitError{Code: ExitNotFound, Err: fmt.Errorf("there is no COMMAND %q: check its path", path)}
}

// unusable says why the program does not run, from an error of package exec.
func unusable(path string, err error) error {
	why := err
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		why = errno // without the name, which is said here
	}
	hint := ""
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOEXEC):
		hint = ": make it executable, with #! and its interpreter in the first line, or name the interpreter: sh " + path
	case errors.Is(err, fs.ErrNotExist):
		hint = ": the interpreter in its first line is missing"
	}

	return &cli.ExitError{Code: ExitUnusable, Err: fmt.Errorf("COMMAND %q cannot run: %w%s", path, why, hint)}
}

// A Lease is one with a fencing token.
type Lease interface {
	coordination.Lease

	Token(ctx context.Context) (uint64, error)
}

// Environment returns what COMMAND finds in its environment about the lease that it runs under.
func Environment(ctx context.Context, lease Lease, node, semaphore string) ([]string, error) {
	token, err := lease.Token(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the token of %q: %w", semaphore, err)
	}

	return []string{
		"TENURE_NODE=" + node,
		"TENURE_SEMAPHORE=" + semaphore,
		"TENURE_SESSION_ID=" + strconv.FormatUint(lease.Session().SessionID(), 10),
		"TENURE_TOKEN=" + strconv.FormatUint(token, 10),
	}, nil
}

// ParseSignal returns the signal of a name, with or without SIG, or of a number.
func ParseSignal(text string) (syscall.Signal, error) {
	if n, err := strconv.Atoi(text); err == nil && n > 0 && n <= maxSignal {
		return syscall.Signal(n), nil
	}
	if sig := signalNum("SIG" + strings.TrimPrefix(strings.ToUpper(text), "SIG")); sig != 0 {
		return sig, nil
	}

	return 0, fmt.Errorf("%q is no signal: write its name or its number, e.g. TERM, INT or 15", text)
}

// maxSignal is Linux's; others have fewer, and refuse when it comes to sending it.
const maxSignal = 64
