package workers

import (
	"time"

	"github.com/cenkalti/backoff/v5"

	"tenure/internal/clock"
)

// How long a worker leaves a task to others after it has ended: a second at first; twice as long each time, up to a
// minute; a second again when the task has run for a minute. So a task that cannot run does not keep everybody busy.
const (
	firstRest = time.Second
	maxRest   = time.Minute
)

// A rest is how long the next rest of a task will be.
type rest struct{ policy backoff.ExponentialBackOff }

func newRest() rest {
	return rest{backoff.ExponentialBackOff{
		InitialInterval: firstRest, RandomizationFactor: 0.2, Multiplier: 2, MaxInterval: maxRest,
	}}
}

// after returns until when a task rests that has run for a time and ends now.
func (r *rest) after(ran time.Duration, now clock.Instant) clock.Instant {
	if ran >= maxRest {
		r.policy.Reset()
	}

	return now.Add(r.policy.NextBackOff())
}
