package server

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// If too many calls wait for their first message, the one that has waited longest gives up its place.
func TestWaiting_LongestGivesUp(t *testing.T) {
	t.Parallel()
	var w waiting
	calls := make([]call, 4)
	for i := range 2 {
		victim, ok := w.add(&calls[i], 2)
		require.True(t, ok)
		require.Nil(t, victim)
	}
	victim, ok := w.add(&calls[2], 2)
	require.True(t, ok)
	require.Same(t, &calls[0], victim)
	w.remove(victim) // it has left already
	w.remove(&calls[1])
	victim, ok = w.add(&calls[3], 2)
	require.True(t, ok)
	require.Nil(t, victim)
	require.Equal(t, 2, w.calls.Len())
}

// statuses are those with which a call was ended.
type statuses []codes.Code

func (s *statuses) WriteStatus(st *status.Status) error {
	*s = append(*s, st.Code())

	return nil
}

// A call can be ended before it has a goroutine, and afterwards.
func TestCall_End(t *testing.T) {
	t.Parallel()
	var early, late statuses
	var c call
	c.end()
	c.run(&early)
	require.Equal(t, statuses{codes.Canceled}, early)

	c = call{}
	c.run(&late)
	require.Empty(t, late)
	c.end()
	require.Equal(t, statuses{codes.Canceled}, late)
}
