package server

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tenure/internal/catalog"
	"tenure/internal/node"
)

// A server with an audit log that is required answers only when the log has the lines of what the answer implies. This
// file has the waits for that. Lines are put into the log's queue where events happen, as in every server.

// record reports the events of the batch, which is durable. If it wrote lines to an audit log that is required, it
// returns when they are in the file, or when ctx ends. The replies of the batch may be released if it returns nil.
func (o *owner) record(ctx context.Context) error {
	if wrote := o.observer.durable(&o.next.fx); !wrote && !o.next.refused {
		return nil
	}
	written := o.env.audit.Written()
	for written != nil {
		select {
		case <-written:
			return nil
		case answer := <-o.asked: // metrics show what waits
			answer <- o.stats()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}

	return nil
}

// recorded returns when the audit log, if it is required, has all lines that have been written so far. The error says
// that the server is stopping, or that ctx has ended.
func (ns *nodes) recorded(ctx context.Context) error {
	written := ns.env.audit.Written()
	if written == nil {
		return nil
	}
	select {
	case <-written:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-ns.ctx.Done():
		return context.Cause(ns.ctx)
	}
}

// unrecorded returns the status of a call that ends with an error of recorded.
func unrecorded(err error) error {
	if errors.Is(err, errStopping) {
		return status.Error(codes.Unavailable, err.Error())
	}

	return status.FromContextError(err).Err()
}

// recordable refuses a call that would add a line to an audit log for which too many lines wait. Callers that give up
// do not wait for their lines, so nothing else would bound these.
func (ns *nodes) recordable() error {
	if ns.env.audit.Full() {
		return &catalog.Error{
			Status: node.Overloaded, Issue: "Too many lines wait for the audit log, which cannot be written: try again later",
		}
	}

	return nil
}

// deny sends the refusal of a request. If the audit log is required and has a line about the refusal, the client gets
// it when the line is in the file. Meanwhile the stream continues to read, because pongs arrive on it.
func (s *stream) deny(refusal node.Message, reported bool) {
	written := s.owner.env.audit.Written()
	if !reported || written == nil {
		s.send(refusal)

		return
	}
	s.goes(func() {
		select {
		case <-written:
			s.send(refusal)
		case <-s.stage.left(stepAttached): // the stream has ended
		}
	})
}
