package server

import (
	"maps"
	"sync"
)

// counts are the numbers that a server keeps about itself as a whole. Owners keep those about their nodes.
type counts struct {
	limits     labelled // what was refused, by the limit that it would have exceeded
	denials    labelled // callers that were not accepted, by reason
	streamEnds labelled // streams that have ended, by reason
	calls      labelled // unary calls, by "method status"
	owners     labelled // nodes that this server has got or lost, if servers share the store, by reason
}

// labelled counts events by the value of a label. Only the server chooses the values, so there are few. The zero value
// has counted nothing. Its methods are safe for concurrent use.
type labelled struct {
	mu      sync.Mutex
	numbers map[string]uint64 // by label value; nil: nothing has been counted
}

// add counts one event.
func (l *labelled) add(value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.numbers == nil {
		l.numbers = make(map[string]uint64)
	}
	l.numbers[value]++
}

// all returns a copy of the numbers, by the values that have been counted. It is not nil.
func (l *labelled) all() map[string]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[string]uint64, len(l.numbers))
	maps.Copy(all, l.numbers)

	return all
}
