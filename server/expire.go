package server

import (
	"context"

	"tenure/internal/clock"
	"tenure/internal/node"
)

// expiry asks an owner to end sessions of its node ahead of their deadlines.
type expiry struct {
	choose func(*node.Snapshot) []uint64
	cause  node.Cause // of the events; 0: the same as for a lifeline
	done   look       // gets the node's state after that, when it is durable
}

// expire implements serverconfig.Control.
func (s *Server) expire(ctx context.Context, choose func(path string, node *node.Snapshot) []uint64) error {
	paths, err := s.nodePaths()
	if err != nil {
		return err
	}
	for _, path := range paths {
		_, err := s.nodes.use(path, func(o *owner) error { // without one, it has been dropped, or the server is stopping
			e := expiry{
				choose: func(s *node.Snapshot) []uint64 { return choose(path, s) },
				done:   make(look, 1), // the owner does not wait for a caller that has gone
			}
			o.inbox.putOwn(input{expiry: &e})
			_, err := o.await(ctx, e.done)

			return err
		})
		if err != nil {
			return err
		}
	}

	return nil
}

// expire ends sessions as their deadlines do (A12). A stream that serves one of them gets the Failure that its next
// attach would get (A6): nothing else would show its client that the session is gone. If an operator has ended the
// session, the text of the issue says so.
func (o *owner) expire(now clock.Instant, e *expiry) {
	fx := &o.next.fx
	o.node.Apply(now, node.Tick{}, fx)
	attached := make(map[uint64]node.StreamID)
	for id := range o.streams {
		attached[o.node.Session(id)] = id
	}
	for _, session := range e.choose(o.node.Snapshot()) {
		stream := attached[session]
		if stream != 0 {
			o.node.Apply(now, node.Detach{Stream: stream}, fx)
		}
		o.node.Apply(now, node.Expire{Session: session, Cause: e.cause}, fx)
		if stream != 0 {
			gone := node.Failure{Status: node.SessionExpired, Issue: "Session does not exist"}
			if e.cause == node.ByOperator {
				gone.Issue = node.EndedByOperator
			}
			fx.Replies = append(fx.Replies, node.Reply{Stream: stream, Message: gone})
		}
		if o.reaper != nil {
			o.reaper.notice(o.node, session)
		}
	}
	o.next.looks = append(o.next.looks, seen{o.snapshotNow(), e.done})
}
