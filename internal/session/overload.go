package session

import (
	"time"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"

	"tenure/internal/clock"
)

// The pauses before a call is repeated that the server was too busy for. They double each time.
const (
	firstBusyPause   = 50 * time.Millisecond
	longestBusyPause = time.Second
)

// busy is the state of a call that the server was too busy for (D6).
type busy struct {
	since  clock.Instant // of the first refusal; 0: there was none
	pauses int
	again  clock.Instant // when to send the call again; 0: it has been sent
}

// postpone makes the core send a call again after a pause, because the server was too busy for it. The call has not
// been carried out. postpone returns false if the call is to end with the refusal: the server has been too busy for too
// long, nobody waits for the call, or a later call for the same semaphore has been sent, which must not come first.
func (c *Core) postpone(call *Call) bool {
	if call.Kind != Release && (call.abandoned || call.busy.since != 0 && c.now >= call.busy.since.Add(c.patience(call))) {
		return false
	}
	if call.Kind != Describe {
		for later := call.after; later != nil; later = later.after {
			if later.name == call.name && later.Kind != Describe && later.sentAt != 0 {
				return false
			}
		}
	}
	if call.busy.since == 0 {
		call.busy.since = c.now
	}
	pause := min(firstBusyPause<<min(call.busy.pauses, 10), longestBusyPause, c.quarter())
	pause -= time.Duration(c.jitter.Int64N(int64(pause)/2 + 1))
	call.busy.pauses++
	call.busy.again, call.sentAt = c.now.Add(pause), 0
	if !call.repeatable() { // it was sent only once
		call.everSent = false
	}
	if c.again == 0 || call.busy.again < c.again {
		c.again = call.busy.again
	}

	return true
}

// patience returns how long a call is repeated. A caller that waits for less than that time gets an answer sooner.
func (c *Core) patience(call *Call) time.Duration {
	if m, ok := call.message.GetRequest().(*pb.SessionRequest_AcquireSemaphore_); ok {
		wait := min(m.AcquireSemaphore.GetTimeoutMillis(), uint64(c.proof.timeout.Milliseconds()))

		return max(time.Duration(wait)*time.Millisecond, c.quarter())
	}

	return c.proof.timeout
}

// postponed reports whether a new call has to wait for an earlier call for the same semaphore that is to be sent again.
func (c *Core) postponed(call *Call) bool {
	if c.again == 0 || call.renewal {
		return false
	}
	for earlier := call.before; earlier != nil; earlier = earlier.before {
		if earlier.name == call.name && earlier.sentAt == 0 && earlier.Kind != Describe {
			return true
		}
	}

	return false
}

// resend sends the calls whose pauses are over, and those that had to wait for them.
func (c *Core) resend(fx *Effects) {
	if c.again == 0 || c.now < c.again {
		return
	}
	c.again = 0
	var next *Call
	waiting := make(map[string]bool) // semaphores with a call that is not sent yet
	for call := c.calls.first; call != nil; call = next {
		next = call.after
		switch {
		case call.sentAt != 0:
		case call.abandoned && call.Kind != Release:
			c.finish(call)
		case call.busy.again > c.now || waiting[call.name] && !call.renewal:
			if call.Kind != Describe {
				waiting[call.name] = true
			}
			if at := call.busy.again; at > c.now && (c.again == 0 || at < c.again) {
				c.again = at
			}
		default:
			c.transmit(call, fx)
		}
	}
}

// busy reports whether the server was too busy for the request.
func (a answer) busy() bool { return a.status == Ydb.StatusIds_OVERLOADED }
