// Package nocontext lets functions survive a nil context. A nil context is a mistake of the caller, but a panic at the
// wrong place is worse than the mistake: the call that panics may already have begun something that nobody ends then.
package nocontext

import (
	"context"
	"errors"
)

// Err is the error of a call with a nil context.
var Err = errors.New("the context is nil: pass one, such as context.Background()")

// Or returns ctx, or if that is nil, a context that has ended with Err. It is for calls that end something. They end it
// as with a context that has ended, and report the mistake.
func Or(ctx context.Context) context.Context {
	if ctx == nil {
		return missing{context.Background()}
	}

	return ctx
}

type missing struct{ context.Context } //nolint:containedctx // it is a context

var ended = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)

	return c
}()

func (missing) Done() <-chan struct{} { return ended }
func (missing) Err() error            { return Err }
