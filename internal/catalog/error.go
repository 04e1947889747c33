package catalog

import (
	"fmt"

	"tenure/internal/node"
)

// Error is the error of a call that was refused or whose outcome is unknown. If Status is Undetermined, the change may
// or may not be stored. If Status is Unavailable, the outcome of an earlier change is unknown, and this call did
// nothing. In both cases the Error wraps the store's error. With any other status, the call did nothing.
type Error struct {
	Status node.Status
	Issue  string // the human-readable reason
	cause  error
}

func (e *Error) Error() string { return e.Issue }

// Unwrap returns the store's error, or nil if the store is not the cause.
func (e *Error) Unwrap() error { return e.cause }

// refuse returns the error of a refused call. Callers format paths with %.300q because a path can be megabytes long.
func refuse(status node.Status, format string, args ...any) *Error {
	return &Error{Status: status, Issue: fmt.Sprintf(format, args...)}
}
