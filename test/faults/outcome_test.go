//go:build linux

package faults

import (
	"errors"
	"fmt"
)

// An outcome is all that a test has seen of a fault.
type outcome struct {
	lines []line // the record
	hit   int    // the number of lines that were there when the fault happened
	proof string // shows that the fault happened

	code, want int      // the exit code of the holder, and the documented one
	left       []string // processes that have not ended

	// outlives is set if the documentation says that processes which COMMAND has started may outlive COMMAND.
	outlives bool
}

// Violations of the rules.
var (
	errNoFault = errors.New("the fault did not happen while COMMAND worked")
	errNoNext  = errors.New("no other COMMAND began after the fault")
	errTwo     = errors.New("two COMMANDs were at work")
	errToken   = errors.New("a token did not grow")
	errAlive   = errors.New("a process of an earlier COMMAND was alive when the next COMMAND began")
	errOrder   = errors.New("a process wrote before its begin or after its end")
	errCode    = errors.New("the exit code is not the documented one")
	errLeft    = errors.New("processes were left over")
)

// check checks the rules. It knows nothing of lock.
func (o *outcome) check() error {
	if err := o.checkFault(); err != nil {
		return err
	}
	if err := o.checkLines(); err != nil {
		return err
	}
	if o.code != o.want {
		return fmt.Errorf("%w: it is %d, want %d", errCode, o.code, o.want)
	}
	if len(o.left) > 0 {
		return fmt.Errorf("%w: %q", errLeft, o.left)
	}

	return nil
}

// checkFault checks that a COMMAND was at work when the fault happened, and that another one began later.
func (o *outcome) checkFault() error {
	if o.proof == "" || o.hit == 0 || o.hit > len(o.lines) {
		return errNoFault
	}
	last := o.lines[o.hit-1].token
	working := false
	for _, l := range o.lines[:o.hit] {
		switch {
		case l.token != last || !isCommand(l.role):
		case l.verb == works:
			working = true
		case l.verb == end:
			working = false
		}
	}
	if !working {
		return errNoFault
	}
	for _, l := range o.lines[o.hit:] {
		if l.token != last && l.verb == begin {
			return nil
		}
	}

	return errNoNext
}

// checkLines checks the order of the lines.
func (o *outcome) checkLines() error {
	var newest uint64 // token
	began, ended := map[int]uint64{}, map[int]bool{}
	for i, l := range o.lines {
		fail := func(err error) error { return fmt.Errorf("%w: line %d: %v", err, i+1, l) }
		switch {
		case l.verb == crowded:
			if !o.outlives {
				return fail(errAlive)
			}

			continue
		case isCommand(l.role) && l.verb == begin && l.token <= newest:
			return fail(errToken)
		case l.token < newest && (isCommand(l.role) || !o.outlives):
			return fail(errTwo)
		case l.token > newest && (!isCommand(l.role) || l.verb != begin):
			return fail(errOrder)
		case l.verb == begin:
			began[l.pid], ended[l.pid] = l.token, false
		case began[l.pid] != l.token || ended[l.pid]:
			return fail(errOrder)
		case l.verb == end:
			ended[l.pid] = true
		}
		newest = max(newest, l.token)
	}

	return nil
}

// isCommand reports whether a process with this role is a COMMAND, and not one that a COMMAND has started.
func isCommand(role string) bool { return role == obedient || role == stubborn || role == short }
