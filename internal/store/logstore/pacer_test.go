package logstore

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
)

// A pacer rests after each piece, for three times as long as the piece took, but not for long if the machine is busy.
// It does not rest if the work must end soon, and the end of the context ends a rest.
func TestPacer(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		hurry := false
		p := newPacer(func() bool { return hurry })
		ctx, cancel := context.WithCancel(t.Context())
		rest := func(work time.Duration, size int) time.Duration {
			time.Sleep(work)
			began := time.Now()
			p.done(ctx, size)

			return time.Since(began)
		}
		require.Zero(t, rest(time.Millisecond, pieceSize-1))
		require.Equal(t, 6*time.Millisecond, rest(time.Millisecond, 1))
		require.Equal(t, 3*time.Millisecond, rest(time.Millisecond, pieceSize), "the rest is no part of a piece")
		require.Equal(t, 20*time.Millisecond, rest(time.Second, pieceSize))
		hurry = true
		require.Zero(t, rest(time.Millisecond, pieceSize))
		hurry = false
		require.Equal(t, 3*time.Millisecond, rest(time.Millisecond, pieceSize))
		cancel()
		require.Zero(t, rest(time.Millisecond, pieceSize))
	})
}

// A merge hurries when the log has grown by more than two segments since it began.
func TestStore_Behind(t *testing.T) {
	t.Parallel()
	s := &Store{}
	for number := range uint64(4) {
		s.segments = append(s.segments, &segment{number: 10 + number})
	}
	require.False(t, s.behind(12), "13 is in use")
	require.False(t, s.behind(10), "two segments were added")
	require.True(t, s.behind(9))
}
