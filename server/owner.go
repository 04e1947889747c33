package server

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"

	"tenure/internal/audit"
	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/panics"
	"tenure/internal/quota"
	"tenure/internal/serverconfig"
	"tenure/internal/serverstats"
	"tenure/internal/store"
)

const (
	chunkBytes      = 128 << 10 // of the requests that are applied without looking for others, as estimated by cost
	maxBatchReplies = 4_096     // a batch with so many takes no more requests
	maxBatchBytes   = 256 << 10 // of records; then too. Others wait for the commit, so it must not take long.
	maxBatchCopied  = 100_000   // owners and waiters that were copied for descriptions; then too, after about 10 ms
)

// rung is not an instant. It means that the timer has rung, perhaps early, and must be set or stopped after Apply.
const rung clock.Instant = -1

// owner owns one coordination node: only its goroutine touches the state machine. Requests arrive in its inbox. The
// owner applies a batch of them, commits it in one durable write, and only then releases its replies. The requests that
// arrive meanwhile form the next batch.
type owner struct {
	path  string // for logs and errors
	space store.Space
	env   *ownerEnv

	terms   store.Terms // of the claim
	servers int64       // version of the servers before the claim; see targets

	inbox *inbox
	looks chan look // never closed
	asked chan chan<- *serverstats.Node
	shown atomic.Pointer[serverstats.Node] // the last answer
	pulse pulse

	claimed chan struct{} // closed when this server serves the node

	stillFrozen func(ctx context.Context, frozen bool) (bool, error) // see nodes

	// done is closed when the owner has ended. err and ended are set before.
	done  chan struct{}
	err   error
	ended clock.Instant

	mu      sync.Mutex           // guards members
	members map[*stream]struct{} // streams that end with the owner; nil after its end

	// The following fields belong to the goroutine of run.
	node     *node.Node
	reaper   *reaper // nil: the server has no lifelines
	timer    clock.Timer
	wakeAt   clock.Instant // the setting of timer; zero: not set; rung: see there
	idleAt   clock.Instant // when the node is unloaded unless it gets a session; zero: it has one
	streams  map[node.StreamID]*stream
	next     batch // applied, not yet committed: none of its replies may be sent, not even those to reads
	chunk    []input
	rest     []input // the end of chunk, if the batch was full before
	crowded  bool    // the last batch had several replies
	dates    dates
	lost     clock.Instant
	observer *observer // nil: nobody wants to know

	footprint int64                 // the part of ownerEnv.memory
	sessions  int                   // the part of ownerEnv.quota
	users     map[uint64]*quota.Use // of sessions whose users are known
	refusals  uint64                // of the node that have been counted
}

// ownerEnv holds the parts of the server that owners use.
type ownerEnv struct {
	store     store.Store
	commits   context.Context //nolint:containedctx // of all commits: see nodes.limitCommits
	clock     clock.Clock
	log       *slog.Logger
	lifelines serverconfig.Lifelines // nil: none
	refusals  *refusals
	denials   *denials
	inFlight  inFlight
	answers   answers
	audit     *audit.Log // nil: none
	stats     bool       // keep numbers for metrics
	counts    *counts
	limits    Limits
	loading   func() (loaded func())
	disk      fullDisk     // nil: unknown
	contact   *contact     // nil: no other server uses the store
	quota     *quota.Use   // what all clients together use
	memory    atomic.Int64 // bytes of all nodes that are loaded, as estimated by Node.Footprint
}

// input is a request and its stream, which is nil for Tick and Expire.
type input struct {
	req    node.Request
	stream *stream
	expiry *expiry // nil, or the other fields are
}

func newOwner(path string, space store.Space, env *ownerEnv) *owner {
	o := &owner{
		path: path, space: space, env: env,
		inbox:    newInbox(&env.inFlight),
		looks:    make(chan look),
		asked:    make(chan chan<- *serverstats.Node),
		observer: newObserver(path, env),
		claimed:  make(chan struct{}),
		done:     make(chan struct{}),
		timer:    env.clock.NewTimer(),
		streams:  make(map[node.StreamID]*stream),
		members:  make(map[*stream]struct{}),
	}
	if env.lifelines != nil {
		o.reaper = newReaper(path, env, o.inbox)
	}

	return o
}

// run loads the node and serves it until the context ends or something fails, and returns the reason. The caller must
// call end afterwards.
func (o *owner) run(ctx context.Context, lost clock.Instant, cfg node.Config) error {
	ctx, cancel := context.WithCancel(ctx)
	var reaping sync.WaitGroup
	err := panics.Guard(func() error {
		if err := o.load(ctx, lost, cfg); err != nil {
			return err
		}
		if o.reaper != nil {
			reaping.Go(func() { o.reaper.run(ctx) })
		}

		if err := o.finish(ctx); err != nil {
			return err
		}

		return o.serve(ctx)
	})
	cancel()
	reaping.Wait()
	o.timer.Stop()

	return err
}

// load loads the node. Before the node is served, load applies what has become due since the node was lost, and ends
// the sessions whose processes are gone.
func (o *owner) load(ctx context.Context, lost clock.Instant, cfg node.Config) (err error) {
	if lost, err = o.claim(ctx, lost); err != nil {
		return err
	}
	close(o.claimed)
	o.env.countOwner("claimed")
	if cfg.Frozen, err = o.stillFrozen(ctx, cfg.Frozen); err != nil {
		return cmp.Or(context.Cause(ctx), fmt.Errorf("load node %q: %w", o.path, err))
	}
	o.lost = lost
	began := o.env.clock.Now()
	o.node, err = o.read(ctx, lost, cfg)
	if err != nil && ctx.Err() != nil { // it was cancelled, which is not a fault of the node
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("load node %q: %w", o.path, err)
	}
	if o.observer != nil {
		o.node.Listen()
		o.observer.load = o.env.clock.Now().Sub(began)
	}
	l := o.env.limits
	o.node.SetLimits(node.Limits{
		Sessions: l.Sessions, Semaphores: l.Semaphores, Waiters: l.Waiters, Data: l.NodeBytes,
	})
	o.apply(input{req: node.Tick{}})
	if o.reaper != nil {
		o.apply(o.reaper.reapLoaded(ctx, o.node)...)
	}

	return nil
}

// read makes the node from its records.
func (o *owner) read(ctx context.Context, lost clock.Instant, cfg node.Config) (*node.Node, error) {
	defer o.env.loading()() // also after a panic

	return node.Load(lost, cfg, o.limited(ctx))
}

func (o *owner) records(ctx context.Context) iter.Seq2[node.Record, error] {
	return o.env.store.Load(ctx, o.space)
}

// serve returns the cause of the context's end, or the first fault.
func (o *owner) serve(ctx context.Context) error {
	for ctx.Err() == nil {
		select {
		case <-o.inbox.ready:
			o.apply(o.arrived()...)
		case look := <-o.looks:
			o.next.looks = append(o.next.looks, seen{o.snapshotNow(), look})
		case answer := <-o.asked: // without a commit: the numbers need not be durable
			answer <- o.stats()

			continue
		case <-o.timer.C():
			o.wakeAt = rung
			o.apply(input{req: node.Tick{}})
		case <-ctx.Done():
		}
		o.gather()
		o.pulse.idle()
		if err := o.finish(ctx); err != nil {
			return err
		}
		if o.idleAt != 0 && o.unused() {
			return errIdle
		}
	}

	return context.Cause(ctx)
}

// gather applies the requests that arrive while other goroutines run that are ready to run now. It does not wait for
// anything else. A sync costs more processor time than a request, so it pays to let those in that are about to come. If
// the last batch had only one request, probably none are, and the attempt would only delay this one.
func (o *owner) gather() {
	for more := o.crowded; more && !o.next.full(); {
		runtime.Gosched()
		chunk := o.arrived()
		if more = len(chunk) > 0 && !large(chunk); more {
			o.apply(chunk...)
		} else if len(chunk) > 0 {
			o.rest = chunk
			o.inbox.wake()
		}
	}
	o.crowded = len(o.next.fx.Replies) > 1
}

// large reports whether the chunk begins with a request that gets a batch of its own. The others need not wait for it
// to be written, and its batch would be full anyway.
func large(chunk []input) bool { return cost(chunk[0].req) > chunkBytes }

// arrived returns requests from the inbox.
func (o *owner) arrived() []input {
	if rest := o.rest; len(rest) > 0 {
		o.rest = nil
		o.inbox.wake() // for those that are in the inbox: the last value of ready was for the rest

		return rest
	}
	o.chunk = o.inbox.take(o.chunk[:0], chunkBytes)

	return o.chunk
}

// apply reads the clock after the requests have arrived, so that a timeout which one of them starts does not begin
// before another one arrived (C1). If descriptions fill the batch, it leaves the rest for the next one.
func (o *owner) apply(chunk ...input) {
	now := o.env.clock.Now()
	o.pulse.applying(now)
	o.node.SetDate(o.dates.of(o.env.clock, now))
	for i, in := range chunk {
		if o.next.fx.Copied() >= maxBatchCopied {
			chunk, o.rest = chunk[:i], chunk[i:]
			o.inbox.wake()

			break
		}
		if in.expiry != nil {
			o.expire(now, in.expiry)

			continue
		}
		var session uint64 // an existing session that is attached or detached
		switch r := in.req.(type) {
		case node.Attach:
			if r.Session == 0 && in.stream.gone() { // it would only be destroyed again (A11)
				continue
			}
			o.streams[r.Stream] = in.stream
			session = r.Session
		case node.Detach:
			delete(o.streams, r.Stream)
			session = o.node.Session(r.Stream)
			if !in.stream.started {
				in.req = node.Abandon(r)
			}
		case node.Describe:
			o.describe(now, in.stream, r)

			continue
		}
		o.node.Apply(now, in.req, &o.next.fx)
		if session != 0 {
			o.checkKey(in)
			if o.reaper != nil {
				o.reaper.notice(o.node, session)
			}
		}
	}
	clear(chunk) // release the requests' memory
	o.wake(now, o.next.fx.Wake)
}

// wake sets the timer for the next deadline. A node without sessions has none: the timer rings when the node is to be
// unloaded.
func (o *owner) wake(now, at clock.Instant) {
	switch {
	case o.node.Sessions() > 0:
		o.idleAt = 0
	case o.idleAt == 0:
		o.idleAt = now.Add(idleNode)
	}
	if at == 0 {
		at = o.idleAt
	}
	if at == o.wakeAt {
		return
	}
	if o.wakeAt = at; at != 0 {
		o.timer.Set(now, at)
	} else {
		o.timer.Stop()
	}
}

// snapshotNow returns the state of the node, which may not be durable yet.
func (o *owner) snapshotNow() *node.Snapshot {
	s := o.node.Snapshot()
	s.Lost = uint64(max(0, o.env.clock.Time(o.lost).UnixMilli()))

	return s
}
