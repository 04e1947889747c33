package server

import (
	"context"

	"tenure/internal/node"
	"tenure/internal/panics"
	"tenure/internal/store"
)

type batch struct {
	fx      node.Effects
	looks   []seen
	refused bool // a reply tells a caller about a refusal that the audit log reports
}

// seen is a snapshot and the look that it answers.
type seen struct {
	snapshot *node.Snapshot
	by       look
}

func (b *batch) full() bool {
	return len(b.fx.Replies) >= maxBatchReplies || b.fx.Size() >= maxBatchBytes || b.fx.Copied() >= maxBatchCopied
}

// finish makes the batch durable and releases its replies.
func (o *owner) finish(ctx context.Context) error {
	if err := o.commit(ctx); err != nil {
		return err
	}
	if err := o.record(ctx); err != nil {
		return err
	}
	o.release()

	return nil
}

// commit makes the batch durable. If there is nothing to make durable, it confirms that the node is still this server's
// to serve, unless nobody gets an answer.
func (o *owner) commit(ctx context.Context) error {
	if len(o.next.fx.Changes) == 0 {
		return o.confirm(ctx)
	}
	began := o.env.clock.Now()
	o.pulse.commit.Store(int64(began))
	err := panics.Guard(func() error {
		return o.env.store.Commit(o.env.commits, store.Batch{Space: o.space, Changes: o.next.fx.Changes})
	})
	o.pulse.commit.Store(0)
	if o.observer != nil {
		o.observer.committed(o.env.clock.Now().Sub(began), len(o.next.fx.Replies))
	}
	switch {
	case err == nil:
		return nil
	case o.env.commits.Err() != nil: // nobody learns of the batch; the next owner finds out whether it is durable
		return context.Cause(o.env.commits)
	default:
		return o.storeFault("commit to", err)
	}
}

// release sends the replies and snapshots of the batch, which is durable and recorded, and empties it. It never blocks:
// a full stream is cut.
func (o *owner) release() {
	o.countSessions()
	for _, s := range o.next.looks {
		s.by <- s.snapshot
	}
	for _, r := range o.next.fx.Replies {
		s := o.streams[r.Stream]
		if s == nil {
			continue // it has ended
		}
		if m, ok := r.Message.(node.Attached); ok && !s.hasEnded() { // otherwise its Detach becomes an Abandon (A11)
			s.started, s.session, s.timeoutMillis = true, m.Session, m.TimeoutMillis
			o.began(s)
			o.observer.attached(s)
		}
		if f, ok := r.Message.(node.Failure); ok {
			o.failed(s, f)
		}
		s.answer(r.Message)
	}
	o.next.reset()
	o.inbox.answered()
	o.account()
}

// reset empties the batch and keeps its capacity.
func (b *batch) reset() {
	clear(b.fx.Changes)
	clear(b.fx.Replies)
	clear(b.looks)
	events := b.fx.Events[:0]
	if cap(events) > maxBatchReplies { // a session with many links has ended
		events = nil
	}
	clear(b.fx.Events)
	b.fx = node.Effects{Changes: b.fx.Changes[:0], Replies: b.fx.Replies[:0], Events: events}
	b.looks, b.refused = b.looks[:0], false
}
