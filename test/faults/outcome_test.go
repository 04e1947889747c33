//go:build linux

package faults

import (
	"errors"
	"fmt"

	"tenure/internal/witnesstest"
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
	errTwo     = witnesstest.ErrTwo
	errToken   = witnesstest.ErrToken
	errAlive   = witnesstest.ErrAlive
	errOrder   = witnesstest.ErrOrder
	errCode    = errors.New("the exit code is not the documented one")
	errLeft    = errors.New("processes were left over")
)

// check checks the rules. It knows nothing of lock.
func (o *outcome) check() error {
	if err := o.checkFault(); err != nil {
		return err
	}
	if err := (witnesstest.Rules{IsCommand: isCommand, Outlives: o.outlives}).Check(o.lines); err != nil {
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
	last := o.lines[o.hit-1].Token
	working := false
	for _, l := range o.lines[:o.hit] {
		switch {
		case l.Token != last || !isCommand(l.Role):
		case l.Verb == works:
			working = true
		case l.Verb == end:
			working = false
		}
	}
	if !working {
		return errNoFault
	}
	for _, l := range o.lines[o.hit:] {
		if l.Token != last && l.Verb == begin {
			return nil
		}
	}

	return errNoNext
}

// isCommand reports whether a process with this role is a COMMAND, and not one that a COMMAND has started.
func isCommand(role string) bool { return role == obedient || role == stubborn || role == short }
