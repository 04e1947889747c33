package server

import "sync"

// stage says how far a stream has come. It only grows. Its zero value is the stage of a new stream. Its methods are
// safe for concurrent use.
type stage struct {
	mu    sync.Mutex // guards the rest
	at    step
	err   error         // with which the stream has ended
	after chan struct{} // closed at the next step; nil: nobody waits
}

type step uint8

const (
	stepAttaching step = iota
	stepAttached       // SessionStarted has been sent
	stepEnded
)

// come makes the step, unless that or a later one was made before. It returns true if it has.
func (s *stage) come(to step, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at >= to {
		return false
	}
	s.at, s.err = to, err
	if s.after != nil {
		close(s.after)
		s.after = nil // most streams wait for nothing for long, and its memory can be used meanwhile
	}

	return true
}

// is returns the last step.
func (s *stage) is() step {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.at
}

// left returns a channel that is closed when the stream is not at the step any more.
func (s *stage) left(at step) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at != at {
		return closed
	}
	if s.after == nil {
		s.after = make(chan struct{})
	}

	return s.after
}

// reason returns the error with which the stream has ended.
func (s *stage) reason() error {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.err
}

// closed is a channel that is closed.
var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)

	return c
}()
