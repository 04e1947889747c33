package session

import (
	"time"

	"tenure/internal/clock"
)

// The constants from which the deadline follows.
const (
	// driftShare bounds the drift: the client's clock may be slower than the node's by 1 part in 100. A quartz
	// oscillator drifts by at most 1 part in 10,000, and NTP slews a clock by at most 1 part in 2,000.
	driftShare = 100

	// The margin covers the delay between the timer firing and the last user of a lease noticing. It is a fiftieth of
	// the timeout, within these bounds.
	marginShare = 50
	minMargin   = 5 * time.Millisecond
	maxMargin   = 500 * time.Millisecond

	// tries is how often a client asks for a proof per timeout. It sends the next request a quarter of the timeout
	// after the last proof. Without an answer it asks again over a new stream, a quarter later at the latest. A single
	// answer is enough.
	tries = 4
)

// Believed returns how long an answered request proves that the session is alive, counted from the moment at which it
// was sent. It is the timeout less the drift and the margin.
func Believed(timeout time.Duration) time.Duration {
	margin := min(max(timeout/marginShare, minMargin), maxMargin)

	return timeout - timeout/driftShare - margin
}

// proof is the newest evidence that the session is alive.
type proof struct {
	timeout time.Duration
	at      clock.Instant // send time of the newest request that the node has answered; 0: there is none
}

// take records the answer to a request that was sent at the given instant. Answers may arrive in any order.
func (p *proof) take(sent clock.Instant) { p.at = max(p.at, sent) }

// deadline returns the instant until which the session is certainly alive, or 0 if there is no proof yet.
func (p *proof) deadline() clock.Instant {
	if p.at == 0 {
		return 0
	}

	return p.at.Add(Believed(p.timeout))
}

// due returns the instant at which to ask for the next proof.
func (p *proof) due() clock.Instant { return p.at.Add(p.timeout / tries) }
