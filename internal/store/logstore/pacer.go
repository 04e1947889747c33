package logstore

import (
	"context"
	"time"

	"tenure/internal/clock"
)

// pacer makes a goroutine with much work rest after each piece of it, so that it leaves most of a processor to others.
type pacer struct {
	clock clock.Clock
	hurry func() bool // reports that the work must end soon

	began clock.Instant // of the piece
	size  int           // of what is done of the piece
}

const (
	restShare   = 3                     // a rest is so many times as long as the piece before it took
	longestRest = 20 * time.Millisecond // because a piece takes long on a busy machine
)

func newPacer(hurry func() bool) *pacer {
	clk := clock.Go()

	return &pacer{clock: clk, hurry: hurry, began: clk.Now()}
}

// done adds to what is done. It rests if that completes a piece.
func (p *pacer) done(ctx context.Context, size int) {
	if p.size += size; p.size < pieceSize {
		return
	}
	if !p.hurry() {
		clock.Pause(ctx, p.clock, min(restShare*p.clock.Now().Sub(p.began), longestRest))
	}
	p.began, p.size = p.clock.Now(), 0
}
