package relay

import (
	"fmt"
	"runtime/debug"
)

// PanicError reports that the code that passes messages on has panicked, which is a bug. Only its stream has ended.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// recovered returns the error for a panic, or nil. The caller passes what recover has returned.
func recovered(value any) error {
	if value == nil {
		return nil
	}

	return &PanicError{value, debug.Stack()}
}
