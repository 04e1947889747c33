package workers

import (
	"time"

	"github.com/cenkalti/backoff/v5"

	"tenure/internal/clock"
)

// After a task has returned, its worker does not ask for it during a rest. Other workers can take the task, and a task
// that cannot run does not keep all workers busy. The first rest takes firstRest, and each further one takes twice as
// long, up to maxRest. After the task has run for maxRest, the next rest takes firstRest again.
const (
	firstRest = time.Second
	maxRest   = time.Minute
)

// A rest computes the durations of one task's rests.
type rest struct{ policy backoff.ExponentialBackOff }

func newRest() rest {
	return rest{backoff.ExponentialBackOff{
		InitialInterval: firstRest, RandomizationFactor: 0.2, Multiplier: 2, MaxInterval: maxRest,
	}}
}

// after returns when the rest of the task ends. The task has returned now, after it ran for the duration ran.
func (r *rest) after(ran time.Duration, now clock.Instant) clock.Instant {
	if ran >= maxRest {
		r.policy.Reset()
	}

	return now.Add(r.policy.NextBackOff())
}
