package server

import (
	"math/rand/v2"
	"sync"
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
type pinger struct {
	mu          sync.Mutex // guards outstanding
	outstanding uint64     // 0: none
}

// ping returns the opaque of the next ping, or false if the last one has not been answered (P2).
func (p *pinger) ping() (opaque uint64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()

	if p.outstanding != 0 {
		return 0, false
	}
	for p.outstanding == 0 {
		p.outstanding = rand.Uint64()
	}

	return p.outstanding, true
}

// pong reports whether a pong answers the last ping. An opaque of 0 is accepted when no ping is outstanding (P3).
func (p *pinger) pong(opaque uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()

	if opaque != p.outstanding {
		return false
	}
	p.outstanding = 0

	return true
}
