package command

import (
	"fmt"
	"io"
	"syscall"
	"time"
)

// An Event reports what happens to COMMAND. Its concrete type is one of the types below. Text for people is in the
// methods String.
type Event interface{ String() string }

// Started reports that COMMAND runs.
type Started struct{ PID int }

// Danger reports that the lease may end before the server renews it. COMMAND is being asked to stop.
type Danger struct{ Left time.Duration }

// Safe reports that the lease is no longer in danger. COMMAND has been asked to stop nevertheless.
type Safe struct{ Left time.Duration }

// Lost reports that the lease has ended while COMMAND was running.
type Lost struct{ Cause error }

// Stopping reports that COMMAND is being asked to stop with the signal, and why.
type Stopping struct {
	Signal syscall.Signal
	Cause  error
}

// Killing reports that COMMAND is being killed, and why.
type Killing struct{ Cause error }

// Suspended reports that a signal has stopped COMMAND while the lease is held, and that this process keeps running. PID
// is the process id of COMMAND and the id of its process group. Terminal is set if COMMAND needs the terminal, which it
// cannot use in the background.
type Suspended struct {
	Signal   syscall.Signal
	PID      int
	Terminal bool
}

// Continued reports that COMMAND continues after Suspended.
type Continued struct{}

// Exited reports that COMMAND has ended, with its exit code as a shell reports it. Lease is set if COMMAND was stopped
// because the lease was lost or in danger.
type Exited struct {
	Code  int
	Lease bool
}

// An Impatient is a Stdout or a Stderr of which a Write may wait for a reader. Run calls Hurry when it stops waiting
// for a pooled COMMAND. From then on, Write must not wait: it drops what the reader does not take.
type Impatient interface {
	io.Writer
	Hurry()
}

// Problem reports something that the user should know, and that changes nothing.
type Problem struct{ Err error }

func (e Started) String() string { return fmt.Sprintf("COMMAND runs, pid %d", e.PID) }
func (e Danger) String() string {
	return fmt.Sprintf("the lease is in danger: it ends in %v unless the server renews it", e.Left)
}

func (e Safe) String() string { return "the lease is safe again, but COMMAND has been asked to stop" }
func (e Lost) String() string { return e.Cause.Error() }
func (e Stopping) String() string {
	return fmt.Sprintf("stopping COMMAND with %s: %v", SignalName(e.Signal), e.Cause)
}
func (e Killing) String() string { return fmt.Sprintf("killing COMMAND: %v", e.Cause) }
func (e Suspended) String() string {
	why := ""
	if e.Terminal {
		why = ", because it needs the terminal and is in the background"
	}

	return fmt.Sprintf("COMMAND was stopped by %s%s: the lock is still held: "+
		"continue COMMAND with kill -CONT -%d, or end it", SignalName(e.Signal), why, e.PID)
}
func (e Continued) String() string { return "COMMAND continues" }
func (e Exited) String() string    { return fmt.Sprintf("COMMAND has ended with exit code %d", e.Code) }
func (e Problem) String() string   { return e.Err.Error() }

func (c *Command) observe(e Event) {
	if c.Observe != nil {
		c.Observe(e)
	}
}
