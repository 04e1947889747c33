package server

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Bounds of the time between two pings of a stream, which is a third of the session timeout (P1).
const (
	minPing = 10 * time.Millisecond
	maxPing = 5 * time.Second
)

func pingPeriod(timeoutMillis uint64) time.Duration {
	return min(max(time.Duration(timeoutMillis)*time.Millisecond/3, minPing), maxPing)
}

// pinger keeps track of the ping of a stream that has not been answered.
type pinger struct{ outstanding atomic.Uint64 } // 0: none

// ping returns the opaque of the next ping, or false if the last one has not been answered (P2).
func (p *pinger) ping() (opaque uint64, ok bool) {
	for opaque == 0 {
		opaque = rand.Uint64()
	}

	return opaque, p.outstanding.CompareAndSwap(0, opaque)
}

// pong reports whether a pong answers the last ping. An opaque of 0 is accepted when no ping is outstanding (P3).
func (p *pinger) pong(opaque uint64) bool {
	return p.outstanding.CompareAndSwap(opaque, 0)
}
