package term

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"

	"tenure/internal/clock"
)

// Pauses between attempts: none before the second one, since most often a single connection broke; then they grow, and
// are spread so that those who failed together do not come back together.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
)

// Repeat calls attempt until it returns nil, an error marked by [backoff.Permanent], which it returns unmarked, or ctx
// has ended, whose cause it returns then. Before it pauses, it tells failed why and for how long.
func Repeat(ctx context.Context, attempt func() error, failed func(err error, pause time.Duration)) error {
	now := clock.Go().Now
	pauses := newPauses()
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		began := now()
		err := attempt()
		if now().Sub(began) > maxPause {
			pauses.Reset() // it was good for a while: this is a new trouble
		}

		return struct{}{}, err
	}, backoff.WithBackOff(&pauses), backoff.WithNotify(failed), backoff.WithMaxElapsedTime(0))

	return err
}

// pauses is a policy whose first pause is none.
type pauses struct {
	backoff.ExponentialBackOff

	begun bool
}

func newPauses() pauses {
	return pauses{ExponentialBackOff: backoff.ExponentialBackOff{
		InitialInterval: firstPause, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: maxPause,
	}}
}

func (p *pauses) NextBackOff() time.Duration {
	if !p.begun {
		p.begun = true

		return 0
	}

	return p.ExponentialBackOff.NextBackOff()
}

func (p *pauses) Reset() {
	p.begun = false
	p.ExponentialBackOff.Reset()
}
