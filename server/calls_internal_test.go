package server

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"
)

// A call is a context. When it forgets the headers, it still ends.
func TestCall_Forget(t *testing.T) {
	t.Parallel()
	inner, cancel := context.WithCancel(metadata.NewIncomingContext(t.Context(), metadata.Pairs("key", "value")))
	defer cancel()
	c := &call{inner: inner, done: inner.Done()}
	headers := func() []string { return metadata.ValueFromIncomingContext(c, "key") }
	require.Equal(t, []string{"value"}, headers())
	require.Same(t, c, callOf(context.WithValue(c, callerKey{}, nil)))
	derived, stop := context.WithCancel(c)
	defer stop()

	c.forget()
	require.Empty(t, headers())
	require.Same(t, c, callOf(c))
	require.NoError(t, c.Err())
	late, stop := context.WithCancel(c)
	defer stop()
	cancel()
	for _, ctx := range []context.Context{c, derived, late} {
		<-ctx.Done()
		require.ErrorIs(t, ctx.Err(), context.Canceled)
		require.ErrorIs(t, context.Cause(ctx), context.Canceled)
	}
}

// A call with a deadline ends with the right error.
func TestCall_ForgetDeadline(t *testing.T) {
	t.Parallel()
	inner, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	c := &call{inner: inner, done: inner.Done()}
	c.forget()
	<-c.Done()
	require.ErrorIs(t, c.Err(), context.DeadlineExceeded)
}
