package server

import (
	"sync"
	"sync/atomic"
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
	numbers sync.Map // label value -> *atomic.Uint64
}

// add counts one event.
func (l *labelled) add(value string) {
	n, ok := l.numbers.Load(value)
	if !ok {
		n, _ = l.numbers.LoadOrStore(value, new(atomic.Uint64))
	}
	n.(*atomic.Uint64).Add(1)
}

// each calls f for each value that has been counted, in no order.
func (l *labelled) each(f func(value string, n uint64)) {
	l.numbers.Range(func(value, n any) bool {
		f(value.(string), n.(*atomic.Uint64).Load())

		return true
	})
}
