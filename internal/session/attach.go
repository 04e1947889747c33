package session

import (
	"errors"
	"time"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tenure/internal/clock"
)

const (
	// moreTime bounds how many times its limit an attach may take if no lease is at risk.
	moreTime = 10

	// The pauses after the server has refused an attach because too many sessions begin. They double each time.
	firstCrowdedPause   = time.Second
	longestCrowdedPause = 5 * time.Second
)

// Delayed notes that the shell does not open the stream yet, because the streams of many other sessions are about to
// attach. Opened must follow, unless the stream is dropped first.
func (c *Core) Delayed(now clock.Instant, stream StreamID, fx *Effects) {
	defer c.wake(fx)
	if c.enter(now, fx) && stream == c.stream && c.phase == attaching {
		c.asked = 0
	}
}

// Opened notes that the shell opens a delayed stream now. The limit for the answer to the attach begins. Nothing may
// have been sent over the stream before.
func (c *Core) Opened(now clock.Instant, stream StreamID, fx *Effects) {
	defer c.wake(fx)
	if c.enter(now, fx) && stream == c.stream && c.phase == attaching {
		c.opened, c.asked = c.now, c.now
	}
}

// Heard notes when the server has last answered an attach of any session of the client. It may be called before Tick.
func (c *Core) Heard(at clock.Instant) { c.heard = max(c.heard, at) }

// risky reports whether leases are at risk until the next attach succeeds. Before the session exists, and after it has
// been given up, none are.
func (c *Core) risky() bool { return c.id != 0 && c.ending == nil }

// startLimit returns how long the core waits for the answer to an attach. Before the session exists, the limit doubles
// with each attach that had no answer: the server may take longer than that for an answer, and would then never give
// one.
func (c *Core) startLimit() time.Duration {
	switch {
	case c.risky():
		return min(c.cfg.StartTimeout, c.quarter())
	case c.ending != nil:
		return c.cfg.StartTimeout
	default:
		return min(c.cfg.StartTimeout<<min(c.unanswered, 10), moreTime*c.cfg.StartTimeout)
	}
}

// startDue returns the instant at which the answer to the attach is overdue, or 0 if the attach has not been sent. A
// server that answers other sessions is slow, not silent: it would do the same work again for another stream. So the
// instant moves while it does, but never so far that fewer attempts fit into the timeout of a session with leases.
func (c *Core) startDue() clock.Instant {
	if c.asked == 0 {
		return 0
	}
	limit := c.startLimit()
	longest := moreTime * c.cfg.StartTimeout
	if c.risky() {
		longest = c.quarter()
	}

	return max(c.asked.Add(limit), min(c.heard.Add(limit), c.asked.Add(longest)))
}

// crowded reports whether the server has refused an attach because too many sessions begin.
func crowded(cause error) bool {
	if refusal, ok := errors.AsType[*StatusError](cause); ok {
		return refusal.Status == Ydb.StatusIds_OVERLOADED
	}

	return status.Code(cause) == codes.ResourceExhausted
}

// crowdedPause returns how long to wait after such a refusal. Other sessions of the client are probably refused as
// well, and all of them would come back at the same time: so the pause is long, and up to half of it is taken off at
// random. If leases are at risk, it is not longer than other pauses.
func (c *Core) crowdedPause() time.Duration {
	longest := longestCrowdedPause
	if c.risky() {
		longest = min(longest, c.quarter()/2)
	}
	pause := min(firstCrowdedPause<<min(c.refusals, 10), longest)
	c.refusals++

	return pause - time.Duration(c.jitter.Int64N(int64(pause)/2+1))
}
