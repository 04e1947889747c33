package server

import (
	"errors"
	"maps"
	"slices"
)

// end marks the owner as ended, and ends its streams.
func (o *owner) end(err error) {
	o.err, o.ended = err, o.env.clock.Now()
	close(o.done)
	o.inbox.close()
	o.env.memory.Add(-o.footprint)
	o.forgetSessions()
	o.mu.Lock()
	members := o.members
	o.members = nil
	o.mu.Unlock()
	why := endServer
	if !errors.Is(err, errStopping) {
		why = endNode
	}
	for s := range members {
		s.because(why)
		s.die(o.failure())
	}
}

// join makes the stream end with the owner. It returns false if the owner has ended.
func (o *owner) join(s *stream) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.members == nil {
		return false
	}
	o.members[s] = struct{}{}

	return true
}

// joined returns the streams that have joined and not left.
func (o *owner) joined() []*stream {
	o.mu.Lock()
	defer o.mu.Unlock()

	return slices.Collect(maps.Keys(o.members))
}

// leave undoes join.
func (o *owner) leave(s *stream) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.members, s)
}
