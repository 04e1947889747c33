package lock

import (
	"errors"
	"fmt"
	"time"

	"tenure/internal/term"
)

// ErrLost is wrapped by the cause ([context.Cause]) of the end of a [Held.Context] if the lock was lost or is in
// danger: its session has ended, or could not be kept alive. [Do] returns an error that wraps it. The text of these
// errors names the lock, and with several locks ([WithAlso]) one that was lost.
var ErrLost = term.ErrLost

// ErrBusy is wrapped by the error of a call that gave up before it had the lock: with [TryAcquire] because the lock is
// taken, and with [WithWait] because the time limit has passed. Work has not run. The error is a [*BusyError]. Its
// field Err says whether there was no session, so that the lock may be free.
var ErrBusy = errors.New("the lock is taken")

// A BusyError wraps ErrBusy and says who holds the lock.
type BusyError struct {
	Name    string        // of the lock that could not be acquired
	Wait    time.Duration // the limit of WithWait; 0: the call did not wait
	Holders []Holder      // those known last; empty if none are known
	Err     error         // why there was no session when the time was over; nil if there was one
}

func (e *BusyError) Error() string {
	text := fmt.Sprintf("lock %q: %v", e.Name, ErrBusy)
	if e.Wait > 0 {
		text = fmt.Sprintf("lock %q: not acquired within %v", e.Name, e.Wait)
	}
	switch {
	case e.Err != nil:
		text += ": " + e.Err.Error()
	case len(e.Holders) > 0:
		text += ": " + describe(e.Holders)
	}

	return text
}

// Unwrap returns ErrBusy and the reason for the missing session.
func (e *BusyError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrBusy}
	}

	return []error{ErrBusy, e.Err}
}

// describe names the first holder.
func describe(holders []Holder) string {
	text := "held by " + holders[0].String()
	if more := len(holders) - 1; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}

	return text
}
