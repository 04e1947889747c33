package catalog

import (
	"fmt"

	"tenure/internal/node"
)

// Error is the answer to a call that was refused, or of which nobody knows the outcome: Status Undetermined, the
// change may be stored or not; Unavailable, an earlier one may, and this call did nothing. Both wrap the store's error.
// With any other status, nothing was done.
type Error struct {
	Status node.Status
	Issue  string // for people
	cause  error
}

func (e *Error) Error() string { return e.Issue }

// Unwrap returns the store's error; nil if the store is not the cause.
func (e *Error) Unwrap() error { return e.cause }

// refuse makes the error of a call that is refused. Paths go into the text through %.300q: they can be megabytes long.
func refuse(status node.Status, format string, args ...any) *Error {
	return &Error{Status: status, Issue: fmt.Sprintf(format, args...)}
}
