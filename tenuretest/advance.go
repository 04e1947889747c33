package tenuretest

import (
	"context"
	"errors"
	"sync"
	"time"

	"tenure/internal/clientconfig"
	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/serverconfig"
)

const (
	// settleLimit is the real time that everything due at one instant may take.
	settleLimit = 10 * time.Second

	// firstTry is the real time that a session has to answer before Advance looks whether it has a stream at all.
	firstTry = 5 * time.Millisecond

	// reconnectPause is the real time that Advance waits for a client whose connection was broken and is possible
	// again. The driver makes its attempts in real time, every 250 ms at the latest.
	reconnectPause = 100 * time.Millisecond
)

// Advance lets time pass for the server and for the clients that Client and NewClient returned: when it returns, they
// have done everything that they do in the time d. That takes milliseconds for seconds, and seconds for an hour,
// because sessions exchange pings all the time. Clients that reach the server keep their leases. The leases of the
// others end at their deadlines, before the server grants their semaphores to anyone else. A context that ends with a
// lease has ended, but the functions that wait for it may still be running.
//
// Advance goes from one timer to the next, and waits at each until server and clients have done what was due, so that
// no client loses a lease because time passes too fast. Between calls, time passes as usual. Clients that were opened
// in another way are not part of this: they do not notice that time passes, and may lose their sessions. Give
// sessions a timeout of a second or more: on a slow machine, real time alone can exceed a shorter one.
//
// The time of the machine does not move, and with it timeouts of contexts and time.Sleep. The pauses that packages lock
// and workers make between attempts are of this kind too.
func (s *Server) Advance(d time.Duration) {
	s.advancing.Lock()
	defer s.advancing.Unlock()

	target := s.clock.Now().Add(d)
	for reached := false; ; reached = s.clock.Step(target) {
		if err := s.settle(); err != nil {
			s.check("advance", err)

			return
		}
		if reached {
			return
		}
	}
}

// settle returns when the server and the clients that can reach it have done everything that is due.
func (s *Server) settle() error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), settleLimit,
		errors.New("the server or a client does not answer"))
	defer cancel()

	if err := s.clock.Settle(ctx); err != nil {
		return context.Cause(ctx)
	}
	control, sessions := s.reachable()
	if control == nil {
		return nil // every client is cut off
	}
	nothing := func(string, *node.Snapshot) []uint64 { return nil }
	if err := control.Expire(ctx, nothing); err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}

	var waiting sync.WaitGroup
	var mu sync.Mutex // guards apart
	apart := false
	for _, session := range sessions {
		waiting.Go(func() {
			// The first answer comes behind all that the server had sent, such as a ping. The second one comes behind the
			// answers of the client to that.
			attached := roundTrip(ctx, session)
			attached = attached && roundTrip(ctx, session)
			mu.Lock()
			defer mu.Unlock()
			apart = apart || !attached
		})
	}
	waiting.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if apart {
		clock.Pause(ctx, clock.Go(), reconnectPause)
	}

	return nil
}

// reachable returns the control of the server, nil if that does not run, and the sessions that can reach it.
func (s *Server) reachable() (control *serverconfig.Control, sessions []clientconfig.Session) {
	s.mu.Lock()
	defer s.mu.Unlock()

	for _, c := range s.clients {
		if c.network.isCut() {
			continue
		}
		c.mu.Lock()
		for session := range c.sessions {
			sessions = append(sessions, session)
		}
		c.mu.Unlock()
	}

	return s.control, sessions
}

// roundTrip sends a request over a session and waits for the answer, behind all that either side has sent before. It
// returns false if the session has no stream; it does not wait for one that is opened only later.
func roundTrip(ctx context.Context, session clientconfig.Session) (attached bool) {
	for limit := firstTry; ctx.Err() == nil; limit *= 2 {
		try, cancel := context.WithTimeout(ctx, limit)
		_, _ = session.DescribeSemaphore(try, "tenure") // any answer will do, also NOT_FOUND
		unanswered := try.Err() != nil
		cancel()
		switch {
		case session.Context().Err() != nil:
			return true // it is over, and there is nothing to wait for
		case !unanswered:
			return true
		case session.Apart():
			return false
		}
	}

	return true
}
