//go:build linux

package witnesstest

import (
	"errors"
	"fmt"
)

// Violations of the rules.
var (
	ErrTwo   = errors.New("two COMMANDs were at work")
	ErrToken = errors.New("a token did not grow")
	ErrAlive = errors.New("a process of an earlier COMMAND was alive when the next COMMAND began")
	ErrOrder = errors.New("a process wrote before its begin or after its end")
)

// Rules say what may be in a record.
type Rules struct {
	// IsCommand reports whether a process with this role is a COMMAND, and not one that a COMMAND has started.
	IsCommand func(role string) bool

	// Outlives is set if processes that COMMAND has started may outlive COMMAND.
	Outlives bool
}

// Check checks the order of the lines.
func (r Rules) Check(lines []Line) error {
	var newest uint64 // token
	began, ended := map[int]uint64{}, map[int]bool{}
	for i, l := range lines {
		fail := func(err error) error { return fmt.Errorf("%w: line %d: %v", err, i+1, l) }
		switch {
		case l.Verb == Crowded:
			if !r.Outlives {
				return fail(ErrAlive)
			}

			continue
		case r.IsCommand(l.Role) && l.Verb == Begin && l.Token <= newest:
			return fail(ErrToken)
		case l.Token < newest && (r.IsCommand(l.Role) || !r.Outlives):
			return fail(ErrTwo)
		case l.Token > newest && (!r.IsCommand(l.Role) || l.Verb != Begin):
			return fail(ErrOrder)
		case l.Verb == Begin:
			began[l.PID], ended[l.PID] = l.Token, false
		case began[l.PID] != l.Token || ended[l.PID]:
			return fail(ErrOrder)
		case l.Verb == End:
			ended[l.PID] = true
		}
		newest = max(newest, l.Token)
	}

	return nil
}
