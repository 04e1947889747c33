package workerscmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"tenure/internal/ancestry"
	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/internal/command"
	"tenure/internal/term"
	"tenure/workers"
)

// An exitError is the failure of a task whose COMMAND has ended with this exit code.
type exitError int

func (e exitError) Error() string {
	if sig := int(e) - command.ExitSignal; sig > 0 {
		return "ended by " + command.SignalName(syscall.Signal(sig))
	}

	return fmt.Sprintf("exit code %d", int(e))
}

// A taskRun is a run of COMMAND for a task.
type taskRun struct {
	*worker

	task    *workers.Task
	heard   atomic.Int64 // the instant at which COMMAND was heard from last
	kill    chan struct{}
	killWhy error       // set before kill is closed
	danger  atomic.Bool // COMMAND was stopped because of the lease
}

// runCommand runs COMMAND for a task, until it ends or the task has to stop.
func (w *worker) runCommand(ctx context.Context, t *workers.Task) (err error) {
	r := &taskRun{worker: w, task: t, kill: make(chan struct{})}
	c, err := r.command()
	if err != nil {
		return err
	}
	file, err := r.stateFile()
	if err != nil {
		return err
	}
	if file != "" {
		defer os.Remove(file)
		c.Env = append(c.Env, "TENURE_STATE_FILE="+file)
	}
	if w.printer != nil {
		stdout, stderr := w.printer.Writers(t.Name())
		defer stdout.Close()
		defer stderr.Close()
		c.Stdout, c.Stderr = stdout, stderr
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watched, end := context.WithCancel(context.WithoutCancel(ctx))
	var watching sync.WaitGroup
	watching.Go(func() { r.watch(ctx, watched, cancel) }) // ends with end
	err = c.Run(ctx, t.Lease())
	end()
	watching.Wait()
	if silence, ok := errors.AsType[*silenceError](context.Cause(ctx)); ok {
		return silence
	}
	exit, failed := errors.AsType[*cli.ExitError](err)
	switch {
	case !failed:
		return err
	case exit.Err != nil: // COMMAND has not run
		return exit.Err
	case exit.Code == command.ExitLost && t.Lease().Context().Err() != nil:
		return context.Cause(t.Lease().Context())
	case exit.Code == command.ExitLost && r.danger.Load():
		return errDanger
	}

	return exitError(exit.Code)
}

// errDanger is the result of a task that was stopped although it was not lost in the end. It is not a failure of the
// task, because it wraps workers.ErrLost.
var errDanger = fmt.Errorf("stopped because it was about to be lost: the server did not renew the lease in time: %w",
	workers.ErrLost)

// command returns COMMAND for the task.
func (r *taskRun) command() (*command.Command, error) {
	name := r.task.Name()
	argv := make([]string, len(r.argv))
	for i, arg := range r.argv {
		argv[i] = strings.ReplaceAll(arg, placeholder, name)
	}
	path := r.path
	if r.shell {
		argv, path = r.argv, r.path
	}
	if path == "" {
		var err error
		if path, err = command.Look(argv[0]); err != nil {
			return nil, err
		}
	}
	c := &command.Command{
		Path: path, Argv: argv, Env: r.environment(),
		Signal: r.stopSignal, Grace: r.grace,
		Pooled: true, Task: name, Kill: r.kill, Heard: r.hear, Lifelines: r.lifelines(),
		Name: "workers " + name, DSN: r.DSN, Auth: r.Auth, Observe: r.observeCommand,
	}
	c.Stdout, c.Stderr = r.env.Inherited()
	if r.aliveWithin > 0 { // files would be passed on, and what COMMAND prints would not be heard
		c.Stdout, c.Stderr = struct{ io.Writer }{c.Stdout}, struct{ io.Writer }{c.Stderr}
	}
	if r.persistent {
		c.State = r.save
	}

	return c, nil
}

// environment returns the variables that describe the task to COMMAND.
func (r *taskRun) environment() []string {
	name, session := r.task.Name(), r.task.Lease().Session().SessionID()
	env := command.Environment(session, r.Path, map[string]uint64{name: r.task.Token()})
	own := ancestry.Hold{Server: r.ServerID(), Node: r.Path, Name: name, Session: session, Token: r.task.Token()}

	return append(env,
		"TENURE_TASK="+name,
		"TENURE_WORKER="+r.task.Worker(),
		ancestry.Variable+"="+ancestry.Text(r.ancestors, []ancestry.Hold{own}),
	)
}

// lifelines returns the files that show that a process works under the name of this worker.
func (r *taskRun) lifelines() []*os.File {
	var all, ofSession exec.Cmd
	if session, ok := r.task.Lease().Session().(interface{ Inherit(cmd *exec.Cmd) }); ok {
		session.Inherit(&ofSession) // which package command passes on by itself
	}
	r.task.Inherit(&all)

	return all.ExtraFiles[len(ofSession.ExtraFiles):]
}

// stateFile writes the state of the task to a file for COMMAND, with --persistent. A task without a state gets an empty
// file.
func (r *taskRun) stateFile() (path string, err error) {
	if !r.persistent {
		return "", nil
	}
	f, err := os.CreateTemp("", "tenure-state-")
	if err != nil {
		return "", fmt.Errorf("write the state of the task to a file: %w", err)
	}
	_, err = f.Write(r.task.State())
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = os.Remove(f.Name())

		return "", fmt.Errorf("write the state of the task to a file: %w", err)
	}

	return f.Name(), nil
}

// save saves a state that COMMAND has written.
func (r *taskRun) save(state []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), r.Timeout) // it ends with the lease
	defer cancel()
	if err := r.task.Save(ctx, state); err != nil {
		r.report(event{Event: "message", Task: r.task.Name(), Cause: err.Error()}, err.Error())
	}
}

// hear notes that COMMAND was heard from.
func (r *taskRun) hear() {
	r.heard.Store(int64(r.clock.Now()))
	r.task.Heard()
}

// A silenceError is the failure of a task that was silent for too long.
type silenceError struct{ text string }

func (e *silenceError) Error() string { return e.text }

// watch ends ctx, the context of COMMAND, when COMMAND was silent for too long. It kills COMMAND if it does not end in
// time. It ends with watched.
func (r *taskRun) watch(ctx, watched context.Context, cancel context.CancelCauseFunc) {
	timer := r.clock.NewTimer()
	defer timer.Stop()
	now := r.clock.Now()
	r.heard.CompareAndSwap(0, int64(now))
	told := ctx.Done()
	if r.aliveWithin > 0 {
		timer.Set(now, now.Add(r.aliveWithin))
	}
	for {
		select {
		case <-watched.Done():
			return
		case <-r.stopper.now:
			r.killCommand(r.stopper.why)

			return
		case <-told:
			told = nil
			timer.Stop()
			if stopsAlone(context.Cause(ctx)) { // otherwise, the stopper or the lease limits the time
				now := r.clock.Now()
				timer.Set(now, now.Add(r.stopTimeout))
			}
		case <-timer.C():
			now := r.clock.Now()
			if told == nil {
				r.killCommand(fmt.Errorf("it did not end within %v of %s", r.stopTimeout, command.SignalName(r.stopSignal)))

				return
			}
			limit := clock.Instant(r.heard.Load()).Add(r.aliveWithin)
			if now >= limit {
				cancel(&silenceError{fmt.Sprintf("silent for %v", r.aliveWithin)})

				continue
			}
			timer.Set(now, limit)
		}
	}
}

// stopsAlone reports whether only the one task has to stop, for this cause.
func stopsAlone(cause error) bool {
	_, silent := errors.AsType[*silenceError](cause)

	return silent || errors.Is(cause, workers.ErrMoved) || errors.Is(cause, workers.ErrRemoved)
}

// killCommand kills COMMAND.
func (r *taskRun) killCommand(why error) {
	r.killWhy = why
	close(r.kill)
}

// observeCommand reports what happens to COMMAND, except what package workers reports.
func (r *taskRun) observeCommand(e command.Event) {
	name := r.task.Name()
	switch e := e.(type) {
	case command.Stopping:
		r.report(event{Event: "stopping", Task: name, Signal: command.SignalName(e.Signal), Cause: e.Cause.Error()},
			r.verbosely("task %q: stopping COMMAND with %s: %v", name, command.SignalName(e.Signal), e.Cause))
	case command.Started:
		r.heard.Store(int64(r.clock.Now())) // the time until here does not count as silence
	case command.Exited:
		r.danger.Store(e.Lease)
	case command.Danger:
		r.report(event{Event: "danger", Task: name, For: seconds(e.Left)},
			fmt.Sprintf("task %q is about to be lost: %v", name, e))
	case command.Killing:
		cause := term.Bare(e.Cause)
		select {
		case <-r.kill:
			cause = r.killWhy
		default:
		}
		if r.stopper.stopping() {
			r.stopper.kill.Store(true)
		}
		r.report(event{Event: "killing", Task: name, Cause: cause.Error()},
			fmt.Sprintf("task %q: killing COMMAND: %s", name, cli.LossText(cause)))
	case command.Suspended, command.Problem:
		r.report(event{Event: "message", Task: name, Cause: e.String()}, fmt.Sprintf("task %q: %v", name, e))
	}
}
