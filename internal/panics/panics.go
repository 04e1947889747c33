// Package panics turns panics into errors, so that a bug in the code for one stream or node ends nothing else.
package panics

import (
	"fmt"
	"runtime/debug"
)

// Error is a recovered panic, with its stack.
type Error struct {
	Value any
	Stack []byte
}

func (e *Error) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Guard calls f and returns its error, or an *Error if f panics.
func Guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &Error{v, debug.Stack()}
		}
	}()

	return f()
}
