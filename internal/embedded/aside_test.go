//go:build unix

package embedded

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// A host that steps aside stops its server, so that another process can take over, and connects to that process. It
// does not become the host until it has resumed, even if a call of Dial waits for a host.
func TestLocal_StepAside(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	var told notices
	a, err := Open(t.Context(), Config{Dir: dir, Notice: told.add})
	require.NoError(t, err)
	t.Cleanup(func() { closed(t, a) })
	require.True(t, a.hosts())
	require.NoError(t, a.StepAside(t.Context()))
	require.False(t, a.hosts())
	require.NoError(t, a.StepAside(t.Context())) // again

	b := open(t, dir)
	requireHost(t, b, a)
	dial(t, a)
	closed(t, b)

	dialled := make(chan error)
	go func() {
		conn, err := a.Dial(t.Context())
		if err == nil {
			err = conn.Close()
		}
		dialled <- err
	}()
	await(t, "the call of Dial", func() bool { return a.dials.Load() > 0 })
	made, err := a.serve()
	require.NoError(t, err)
	require.False(t, made)
	a.Resume()
	require.NoError(t, <-dialled)
	requireHost(t, a)
	require.Empty(t, told.all())
}

// StepAside returns when its context ends, and Resume cancels what StepAside has not done yet.
func TestLocal_StepAsideTooSlow(t *testing.T) {
	t.Parallel()
	l := open(t, stateDir(t))
	l.mu.Lock() // as while a host starts
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, l.StepAside(ctx), context.Canceled)
	l.Resume()
	l.mu.Unlock()
	dial(t, l)
	requireHost(t, l)
}

// Opened is called before the process becomes the host, so that it can step aside in time.
func TestOpen_Opened(t *testing.T) {
	t.Parallel()
	var early bool
	l, err := Open(t.Context(), Config{Dir: stateDir(t), Opened: func(l *Local) { early = !l.hosts() }})
	require.NoError(t, err)
	t.Cleanup(func() { closed(t, l) })
	require.True(t, early)
	requireHost(t, l)
}
