package server

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"runtime/debug"
	"sync"

	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/serverconfig"
	"tenure/internal/store"
)

const (
	inboxSize       = 256     // requests that an owner has not taken yet; when it is full, streams wait
	maxBatchReplies = 4_096   // a batch with so many takes no more requests
	maxBatchBytes   = 4 << 20 // of records; then too
)

// rung is not an instant. It means that the timer has rung, perhaps early, and must be set or stopped after Apply.
const rung clock.Instant = -1

// owner owns one coordination node: only its goroutine touches the state machine. Requests arrive through submit. The
// owner applies a batch of them, commits it in one durable write, and only then releases its replies. It applies the
// next batch while one is being committed.
type owner struct {
	path  string // for logs and errors
	space store.Space
	env   *ownerEnv

	inbox   chan input
	looks   chan look  // never closed
	pending chan batch // to the commit goroutine, one batch at a time; run closes it
	durable chan batch // back from the commit goroutine; capacity 1, so that it never blocks

	// done is closed when the owner has ended. err and ended are set before.
	done  chan struct{}
	err   error
	ended clock.Instant

	// The following fields belong to the goroutine of run.
	node    *node.Node
	reaper  *reaper // nil: the server has no lifelines
	timer   clock.Timer
	wakeAt  clock.Instant // the setting of timer; zero: not set; rung: see there
	streams map[node.StreamID]*stream
	next    batch // applied, not yet committed: none of its replies may be sent, not even those to reads
	spare   batch
	chunk   []input
}

// ownerEnv holds the parts of the server that owners use.
type ownerEnv struct {
	store     store.Store
	clock     clock.Clock
	log       *slog.Logger
	lifelines serverconfig.Lifelines // nil: none
}

// input is a request and its stream, which is nil for Tick and Expire.
type input struct {
	req    node.Request
	stream *stream
	expiry *expiry // nil, or the other fields are
}

type batch struct {
	fx    node.Effects
	looks []seen
	err   error // of the commit
}

// seen is a snapshot and the look that it answers.
type seen struct {
	snapshot *node.Snapshot
	by       look
}

func (b *batch) full() bool {
	return len(b.fx.Replies) >= maxBatchReplies || b.fx.Size() >= maxBatchBytes
}

func newOwner(path string, space store.Space, env *ownerEnv) *owner {
	o := &owner{
		path: path, space: space, env: env,
		inbox:   make(chan input, inboxSize),
		looks:   make(chan look),
		pending: make(chan batch),
		durable: make(chan batch, 1),
		done:    make(chan struct{}),
		timer:   env.clock.NewTimer(),
		streams: make(map[node.StreamID]*stream),
	}
	if env.lifelines != nil {
		o.reaper = newReaper(path, env, o.inbox)
	}

	return o
}

// submit hands the owner a request. It blocks while the owner's inbox is full. It returns false if the owner has ended
// and drops the request. After it has returned true, the owner may end before it takes the request.
func (o *owner) submit(in input) bool {
	select { // the usual case, at the cost of a plain send
	case o.inbox <- in:
		return true
	default:
	}
	select {
	case o.inbox <- in:
		return true
	case <-o.done:
		return false
	}
}

// run loads the node and serves it until the context ends or something fails, and returns the reason. The caller must
// call end afterwards.
func (o *owner) run(ctx context.Context, lost clock.Instant, cfg node.Config) error {
	ctx, cancel := context.WithCancel(ctx)
	var helpers sync.WaitGroup
	helpers.Go(o.commit) // ends when pending is closed

	err := guard(func() error {
		defer close(o.pending)
		if err := o.load(ctx, lost, cfg); err != nil {
			return err
		}
		if o.reaper != nil {
			helpers.Go(func() { o.reaper.run(ctx) })
		}

		return o.serve(ctx)
	})
	cancel()
	helpers.Wait()
	o.timer.Stop()

	return err
}

// load loads the node. Before the node is served, load applies what has become due since the node was lost, and ends
// the sessions whose processes are gone.
func (o *owner) load(ctx context.Context, lost clock.Instant, cfg node.Config) (err error) {
	o.node, err = node.Load(lost, cfg, o.records(ctx))
	if err != nil && ctx.Err() != nil { // it was cancelled, which is not a fault of the node
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("load node %q: %w", o.path, err)
	}
	o.apply(input{req: node.Tick{}})
	if o.reaper != nil {
		o.apply(o.reaper.reapLoaded(ctx, o.node)...)
	}

	return nil
}

// end marks the owner as ended. Its streams see that and end.
func (o *owner) end(err error) {
	o.err, o.ended = err, o.env.clock.Now()
	close(o.done)
}

func (o *owner) records(ctx context.Context) iter.Seq2[node.Record, error] {
	return o.env.store.Load(ctx, o.space)
}

// serve returns the cause of the context's end, or the first fault.
func (o *owner) serve(ctx context.Context) error {
	flying := false
	for {
		if !flying && len(o.next.fx.Changes) == 0 { // there is nothing to commit
			o.release(&o.next)
			o.next.reset()
		}
		in, out := o.inbox, o.pending
		if o.next.full() {
			in = nil // back-pressure: streams wait, and memory does not grow
		}
		if flying || o.next.fx.Empty() {
			out = nil
		}
		select {
		case first := <-in:
			o.apply(o.arrived(first)...)
		case look := <-o.looks:
			o.next.looks = append(o.next.looks, seen{o.node.Snapshot(), look})
		case <-o.timer.C():
			o.wakeAt = rung
			o.apply(input{req: node.Tick{}})
		case out <- o.next:
			o.next, flying = o.spare, true
		case b := <-o.durable:
			if b.err != nil {
				return b.err
			}
			o.release(&b)
			b.reset()
			o.spare, flying = b, false
		case <-ctx.Done():
			if flying { // send the replies of the last batch, if it becomes durable
				if b := <-o.durable; b.err == nil {
					o.release(&b)
				}
			}

			return context.Cause(ctx)
		}
	}
}

// arrived adds the other requests in the inbox to the first.
func (o *owner) arrived(first input) []input {
	o.chunk = append(o.chunk[:0], first)
	for len(o.chunk) < inboxSize {
		select {
		case in := <-o.inbox:
			o.chunk = append(o.chunk, in)
		default:
			return o.chunk
		}
	}

	return o.chunk
}

// apply reads the clock after the requests have arrived, so that a timeout which one of them starts does not begin
// before another one arrived (C1).
func (o *owner) apply(chunk ...input) {
	now := o.env.clock.Now()
	for _, in := range chunk {
		if in.expiry != nil {
			o.expire(now, in.expiry)

			continue
		}
		var session uint64 // an existing session that is attached or detached
		switch r := in.req.(type) {
		case node.Attach:
			o.streams[r.Stream] = in.stream
			session = r.Session
		case node.Detach:
			delete(o.streams, r.Stream)
			session = o.node.Session(r.Stream)
			if !in.stream.started {
				in.req = node.Abandon(r)
			}
		}
		o.node.Apply(now, in.req, &o.next.fx)
		if session != 0 && o.reaper != nil {
			o.reaper.notice(o.node, session)
		}
	}
	clear(chunk) // release the requests' memory
	o.wake(now, o.next.fx.Wake)
}

func (o *owner) wake(now, at clock.Instant) {
	if at == o.wakeAt {
		return
	}
	if o.wakeAt = at; at != 0 {
		o.timer.Set(now, at)
	} else {
		o.timer.Stop()
	}
}

// release sends the replies and snapshots of a batch that is durable. It never blocks: a full stream is cut.
func (o *owner) release(b *batch) {
	for _, s := range b.looks {
		s.by <- s.snapshot
	}
	for _, r := range b.fx.Replies {
		s := o.streams[r.Stream]
		if s == nil {
			continue // it has ended
		}
		if m, ok := r.Message.(node.Attached); ok {
			s.started, s.session, s.timeoutMillis = true, m.Session, m.TimeoutMillis
		}
		s.send(r.Message)
	}
}

// commit makes batches durable, one after another, until pending is closed. After a failure it fails all later ones.
func (o *owner) commit() {
	var failed error
	for b := range o.pending {
		if failed == nil {
			failed = guard(func() error {
				return o.env.store.Commit(context.Background(), store.Batch{Space: o.space, Changes: b.fx.Changes})
			})
		}
		if b.err = failed; failed != nil {
			b.err = &storeError{fmt.Errorf("commit to node %q: %w", o.path, failed)}
		}
		o.durable <- b
	}
}

// reset empties the batch and keeps its capacity.
func (b *batch) reset() {
	clear(b.fx.Changes)
	clear(b.fx.Replies)
	clear(b.looks)
	b.fx, b.looks = node.Effects{Changes: b.fx.Changes[:0], Replies: b.fx.Replies[:0]}, b.looks[:0]
}

// storeError is the failure of a commit. The content of the store is unknown until it is opened again.
type storeError struct{ error }

func (e *storeError) Unwrap() error { return e.error }

// panicError is a recovered panic, with its stack.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// guard calls f and turns a panic into an error.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, debug.Stack()}
		}
	}()

	return f()
}
