package session

import (
	"time"

	"tenure/internal/clock"
)

// refusedPause is the pause after a refusal, so that a client does not ask a server that refuses again and again.
const refusedPause = time.Second

// RefusedError is the cause of the end of a session whose deadline has passed after the server refused to continue it.
type RefusedError struct {
	Renewal bool  // the server refused a renewal; otherwise it refused to attach a stream, or ended an attached one
	Cause   error // the last refusal: a *StatusError, or the gRPC error of an attach
}

func (e *RefusedError) Error() string {
	return "the server refuses to continue the session: " + e.Cause.Error()
}

// Unwrap returns the last refusal.
func (e *RefusedError) Unwrap() error { return e.Cause }

// Refusal returns the last refusal of the server to continue the session, or nil if the server has proved since then
// that the session is alive. The core still tries until the session's deadline.
func (c *Core) Refusal() *RefusedError { return c.refusal }

// denied handles a refusal of an attach that says nothing about the session, such as UNAUTHORIZED, and the same refusal
// of an attached stream. It may pass: an administrator may give back a right, the tokens file may be about to be
// replaced, or another front server may know better. The lease lasts until its deadline in any case, because the node
// starts the timeout of the session when the stream ends (A10). So a session that exists tries again until then, and an
// ending for as long as its patience lasts. A first attach fails: nothing is at risk, and the caller learns the reason.
func (c *Core) denied(cause error, fx *Effects) {
	pause := refusedPause
	switch e := c.ending; {
	case e != nil:
		if e.refused == 0 {
			e.refused = c.now
		}
		if c.now >= e.refused.Add(e.patience) {
			c.end(cause, fx)

			return
		}
	case c.id == 0, c.cause != nil: // after Close, an ending continues
		c.end(cause, fx)

		return
	default:
		c.refusal = &RefusedError{Cause: cause}
		pause = c.refusedPause()
	}
	c.disconnect(cause, fx)
	if c.phase == apart {
		c.reopen = max(c.reopen, c.now.Add(pause))
	}
}

// unproved handles the refusal of a renewal for lack of the right to read. Without that right, nothing proves that the
// leases exist. An attach would only prove that the session does, so the core repeats the renewal over the same stream.
func (c *Core) unproved(cause error) {
	c.refusal = &RefusedError{Renewal: true, Cause: cause}
	c.dropRenewal()
	c.notBefore = c.now.Add(c.refusedPause())
}

// refusedPause returns how long to wait after a refusal while leases are at risk. Other sessions of the client are
// probably refused as well, so up to half of the pause is taken off at random.
func (c *Core) refusedPause() time.Duration {
	pause := min(refusedPause, c.quarter()/2)

	return pause - time.Duration(c.jitter.Int64N(int64(pause)/2+1))
}

// proved records that the node has answered a request that was sent at the given instant.
func (c *Core) proved(sent clock.Instant) {
	c.proof.take(sent)
	c.refusal = nil
}

// expiry returns the reason for the end of a session whose deadline has passed.
func (c *Core) expiry() error {
	if c.refusal != nil {
		return c.refusal
	}

	return ErrDeadline
}
