package workers

import (
	"time"

	"github.com/cenkalti/backoff/v5"

	"tenure/internal/clock"
)

// A worker rests a task after it has returned, so that other workers can have it and a task that cannot run does not
// keep all workers busy. The rest takes firstRest, and doubles each time up to maxRest. It starts over after the task
// has run for maxRest.
const (
	firstRest = time.Second
	maxRest   = time.Minute
)

// A rest computes how long the next rest of a task takes.
type rest struct{ policy backoff.ExponentialBackOff }

func newRest() rest {
	return rest{backoff.ExponentialBackOff{
		InitialInterval: firstRest, RandomizationFactor: 0.2, Multiplier: 2, MaxInterval: maxRest,
	}}
}

// after returns the end of the rest of a task that returned now after it had run for the duration.
func (r *rest) after(ran time.Duration, now clock.Instant) clock.Instant {
	if ran >= maxRest {
		r.policy.Reset()
	}

	return now.Add(r.policy.NextBackOff())
}
