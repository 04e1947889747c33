package logstore

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
	"tenure/internal/clock"
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

// A merge hurries when the log has grown by more than two segments since it began, if these are half as large as the
// snapshot, or if the disk is nearly full.
func TestStore_Behind(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		s := &Store{}
		s.space.clock = clock.Go()
		for number := range uint64(5) {
			s.segments = append(s.segments, &segment{number: 10 + number, end: 100})
		}
		full := func(low bool) {
			s.space.looked.Store(int64(s.space.clock.Now()))
			s.space.low.Store(low)
		}
		full(false)
		require.False(t, s.behind(13), "14 is in use")
		require.False(t, s.behind(11), "two segments were added")
		require.True(t, s.behind(10))
		s.base = &snapshot{size: 600}
		require.True(t, s.behind(10))
		s.base.size = 602
		require.False(t, s.behind(10))
		require.True(t, s.behind(9))
		full(true)
		require.True(t, s.behind(10))
		require.False(t, s.behind(11))
	})
}
