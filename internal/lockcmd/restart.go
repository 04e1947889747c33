package lockcmd

import (
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"tenure/internal/cli"
)

// longestPause is the longest delay before a restart. When COMMAND has run for this long, the next delay is --backoff
// again.
const longestPause = time.Minute

// A restarts decides whether COMMAND runs again, and when.
type restarts struct {
	when   string // see --restart
	policy backoff.ExponentialBackOff
}

func newRestarts(when string, first time.Duration) *restarts {
	return &restarts{when: when, policy: backoff.ExponentialBackOff{
		InitialInterval: first, RandomizationFactor: 0.1, Multiplier: 2, MaxInterval: max(first, longestPause),
	}}
}

// after returns the delay before the next attempt, if there is one. The last attempt had this outcome and took this
// long.
func (r *restarts) after(result outcome, took time.Duration) (pause time.Duration, again bool) {
	switch {
	case r.when == restartNever, r.when == restartOnFailure && result.err == nil, unusable(result.err):
		return 0, false
	case took >= longestPause:
		r.policy.Reset()
	}

	return r.policy.NextBackOff(), true
}

// unusable reports whether another attempt would fail in the same way: COMMAND cannot run, or lock itself failed.
func unusable(err error) bool {
	exit, ok := errors.AsType[*cli.ExitError](err)

	return err != nil && !ok || ok && exit.Err != nil
}
