//go:build unix

package command

import (
	"context"
	"errors"
	"fmt"

	"tenure/internal/watchman"
)

// checkLease compares the deadline of the lease with the clock.
func (r *run) checkLease() {
	if r.lost || r.ended && !r.stopping {
		return
	}
	if r.lease.Context().Err() != nil {
		r.lost, r.stopping, r.because = true, true, true
		cause := context.Cause(r.lease.Context())
		r.deadline.close()
		r.observe(Lost{cause})
		r.kill(cause, true)

		return
	}
	if r.session == nil {
		return
	}
	r.announce()
	deadline := r.session.Deadline()
	if deadline == 0 { // the context of the lease ends now
		return
	}
	left := deadline.Sub(r.clock.Now())
	switch {
	case r.clock.Now() >= watchman.KillAt(deadline, r.session.Timeout()):
		cause := errors.New("the lease ends")
		if r.asked != 0 {
			cause = fmt.Errorf("it did not end within %v of %s", r.Grace, SignalName(r.asked))
		}
		r.stopping, r.because = true, true
		r.kill(cause, true)
	case left <= r.Grace && !r.danger:
		r.danger = true
		r.deadline.say("danger")
		r.observe(Danger{left})
		r.because = true
		r.stop(r.Signal, errors.New("the lease is in danger"))
	case left > r.Grace && r.danger:
		r.danger = false
		r.observe(Safe{left})
	}
}
