package session

import (
	"time"

	"tenure/internal/clock"
)

// What the deadline leaves out of the timeout.
const (
	// driftShare bounds how much faster than the node's clock the client's may be slow: 1 in 100. Quartz is good for 1
	// in 10,000, and NTP slews by at most 1 in 2,000.
	driftShare = 100

	// The margin is the time from the timer's ring to the moment at which the last user of a lease knows: a fiftieth of
	// the timeout, within these bounds.
	marginShare = 50
	minMargin   = 5 * time.Millisecond
	maxMargin   = 500 * time.Millisecond

	// tries is how often in a timeout the node is asked for a proof at least, one answer of which suffices: a quarter
	// of the timeout after a proof the next is asked for, and again a quarter later over a new stream.
	tries = 4
)

// Believed returns for how long after it was sent an answered request proves that the session is alive. It is less
// than the timeout, by drift and margin.
func Believed(timeout time.Duration) time.Duration {
	margin := min(max(timeout/marginShare, minMargin), maxMargin)

	return timeout - timeout/driftShare - margin
}

// proof is what is known of the session being alive.
type proof struct {
	timeout time.Duration
	at      clock.Instant // send time of the newest request that the node has answered; 0: none
}

// take notes an answer to a request sent at the instant. Answers need not come in order.
func (p *proof) take(sent clock.Instant) { p.at = max(p.at, sent) }

// deadline returns until when the session is surely alive; 0: there is no proof yet.
func (p *proof) deadline() clock.Instant {
	if p.at == 0 {
		return 0
	}

	return p.at.Add(Believed(p.timeout))
}

// due returns when the next proof is to be asked for.
func (p *proof) due() clock.Instant { return p.at.Add(p.timeout / tries) }
