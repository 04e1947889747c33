package server

import (
	"fmt"
	"runtime/debug"
)

// storeError is the failure of a commit. The content of the store is unknown until it is opened again.
type storeError struct{ error }

func (e *storeError) Unwrap() error { return e.error }

// panicError is a recovered panic, with its stack.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// guard calls f and turns a panic into an error.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, debug.Stack()}
		}
	}()

	return f()
}
