package server

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"

	"tenure/internal/audit"
	"tenure/internal/catalog"
	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/panics"
	"tenure/internal/store"
)

// Reasons other than a fault for which an owner ends.
var (
	errStopping = errors.New("the server is stopping")
	errDropped  = errors.New("the coordination node was dropped")
)

// nodes finds the owner of each coordination node. A node is loaded when it is first used. A stream looks its owner up
// once, so nodes is not involved in single requests. A node without sessions is unloaded after a while.
type nodes struct {
	catalog *catalog.Catalog
	env     *ownerEnv
	front   *front        // nil: no other server uses the store
	started clock.Instant // no session was attached between the end of the previous server and this instant
	thaws   clock.Instant // when the wait after a restore is over, see thaw
	fatal   func(error)   // called when the store has failed
	faults  *repeats[nodeFault]

	ctx     context.Context // of all owners; ends with errStopping
	cancel  context.CancelCauseFunc
	running sync.WaitGroup // of owners
	ended   func()         // called when nothing is committed any more

	mu     sync.Mutex // guards owned, idle and frozen, and makes a lookup atomic with the change that follows from it
	owned  map[store.Space]*owned
	idle   map[store.Space]bool // nodes that were unloaded, because nobody used them
	frozen bool                 // nodes grant nothing, see thaw
}

// owned is a node that has been used since the server started. An owner that has failed is replaced.
type owned struct {
	*owner   // nil: none has been started
	cancel   context.CancelCauseFunc
	dropping bool
}

func newNodes(c *catalog.Catalog, env *ownerEnv, fatal func(error)) *nodes {
	ctx, cancel := context.WithCancelCause(context.Background())
	started := env.clock.Now()

	ns := &nodes{
		catalog: c, env: env, started: started, thaws: started.Add(c.Wait()), fatal: fatal,
		faults: newRepeats(env.clock, func(nodeFault) nodeFault { return nodeFault{} }),
		ctx:    ctx, cancel: cancel,
		owned: make(map[store.Space]*owned), idle: make(map[store.Space]bool), frozen: c.Wait() > 0,
	}
	ns.limitCommits()
	c.OnDrop(ns.gone)

	return ns
}

// notFound is the Failure for an attach to a node that does not exist (A3).
var notFound = node.Failure{Status: node.NotFound, Issue: "Kesus not found"}

// find returns the entry of the node at the path, or false and the Failure that answers an attach to it (A3).
func (ns *nodes) find(path string) (catalog.Entry, node.Failure, bool) {
	if path == "" {
		return catalog.Entry{}, node.Failure{Status: node.BadRequest, Issue: "KesusPath cannot be empty"}, false
	}
	entry, err := ns.catalog.Lookup(path)
	if refusal, ok := errors.AsType[*catalog.Error](err); ok && refusal.Status == node.Unavailable {
		return entry, node.Failure{Status: node.Unavailable, Issue: refusal.Issue}, false
	}

	return entry, notFound, err == nil && entry.Kind == catalog.Node
}

// owner returns the owner of the node at the path, or nil and the Failure that answers an attach to it (A3).
func (ns *nodes) owner(path string) (*owner, node.Failure) {
	return ns.ownerUnder(path, store.Terms{})
}

// ownerUnder is like owner. If it starts an owner, that claims the node under the terms.
func (ns *nodes) ownerUnder(path string, terms store.Terms) (*owner, node.Failure) {
	ns.mu.Lock()
	defer ns.mu.Unlock()

	if ns.ctx.Err() != nil {
		return nil, node.Failure{Status: node.Unavailable, Issue: errStopping.Error()}
	}
	entry, refusal, ok := ns.find(path)
	if !ok {
		return nil, refusal
	}
	have := ns.owned[entry.Space]
	switch {
	case have == nil:
		return ns.start(entry, ns.started, terms), node.Failure{}
	case have.dropping && ns.catalog.Common(): // the drop may fail
		return nil, node.Failure{Status: node.Unavailable, Issue: errDropped.Error()}
	case have.dropping:
		return nil, notFound
	}
	select {
	case <-have.done: // it has failed; its sessions were attached until then
		soon := ns.env.clock.Now().Sub(have.ended) < loadPause
		switch f := have.failure(); {
		case soon && f.Status == node.Overloaded:
			ns.env.refusals.add("memory", "node", have.path)

			return nil, f
		case soon && have.damaged():
			return nil, f
		}

		return ns.start(entry, have.ended, terms), node.Failure{}
	default:
		return have.owner, node.Failure{}
	}
}

// start starts an owner for a node whose sessions have been detached since the instant lost. It is called with mu held.
func (ns *nodes) start(e catalog.Entry, lost clock.Instant, terms store.Terms) *owner {
	o := newOwner(e.Path, e.Space, ns.env)
	o.terms, o.servers, o.stillFrozen = terms, ns.front.servers(), ns.stillFrozen
	cfg := e.Config.Node()
	cfg.Above, cfg.Frozen = ns.catalog.Above(), ns.frozen
	ctx, cancel := context.WithCancelCause(ns.ctx)
	ns.owned[e.Space] = &owned{owner: o, cancel: cancel}
	delete(ns.idle, e.Space)
	ns.running.Go(func() {
		err := o.run(ctx, lost, cfg)
		offer := ns.giveUp(o, err)
		ns.report(o.path, err)
		o.countEnd(err)
		o.end(err)
		offer()
		if errors.Is(err, errIdle) {
			ns.unload(o)
		}
	})

	return o
}

// report logs the reason for which an owner ends, if it is a fault.
func (ns *nodes) report(path string, err error) {
	log := ns.env.log.With("node", path)
	p, panicked := errors.AsType[*panics.Error](err)
	_, lostStore := errors.AsType[*storeError](err)
	_, tooLarge := errors.AsType[*tooLargeError](err)
	_, elsewhere := errors.AsType[*claimError](err)
	switch {
	case errors.Is(err, errStopping), errors.Is(err, errDropped), elsewhere:
	case errors.Is(err, errIdle):
		log.DebugContext(ns.ctx, "node unloaded: nobody uses it")
	case lostStore:
		ns.fatal(err)
	case panicked:
		log.ErrorContext(ns.ctx, "node failed: loading it again from its records", "panic", p.Value,
			"stack", string(p.Stack))
	case tooLarge:
		ns.env.counts.limits.add("memory")
		log.ErrorContext(ns.ctx, "node not loaded: it needs too much memory", "error", err)
	default:
		if times, due := ns.faults.due(nodeFault{path, err.Error()}); due {
			log.ErrorContext(ns.ctx, "node failed: loading it again from its records", "error", err, "times", times)
		}
	}
}

// nodeFault is a fault for which a node is loaded again. If its records are damaged, each attempt finds the same fault.
type nodeFault struct{ path, text string }

// failure returns the Failure that ends the streams of an owner that has ended.
func (o *owner) failure() node.Failure {
	if large, ok := errors.AsType[*tooLargeError](o.err); ok {
		return node.Failure{Status: node.Overloaded, Issue: large.Error()}
	}

	return node.Failure{Status: node.Unavailable, Issue: o.reason()}
}

// reason returns the text that ends the streams of an owner that has ended.
func (o *owner) reason() string {
	if errors.Is(o.err, errStopping) || errors.Is(o.err, errDropped) {
		return o.err.Error()
	}
	if _, elsewhere := errors.AsType[*claimError](o.err); elsewhere {
		return "another server serves the coordination node"
	}

	if o.damaged() {
		return "the records of the coordination node are damaged: the log of its server says which"
	}

	return "the coordination node failed and is being loaded again"
}

// damaged reports whether an owner has ended because it cannot read the node.
func (o *owner) damaged() bool {
	return errors.Is(o.err, store.ErrDamaged) || errors.Is(o.err, node.ErrDamaged)
}

// drop drops the node at the path with everything in it (N3). The node's owner ends first, and none is started in the
// meantime, so that nothing is written to the space while it is dropped.
func (ns *nodes) drop(ctx context.Context, path string) error {
	if err := ns.catalog.Sync(ctx); err != nil {
		return err
	}
	space, have, err := ns.dropping(path)
	if err != nil {
		return err
	}
	if have.owner != nil {
		have.cancel(errDropped)
		<-have.done
	}
	// From here on, the end of ctx does not matter. If the drop could be cancelled now, the node would have to be loaded
	// with sessions that were attached until now, while a second drop may be in progress.
	err = ns.catalog.DropNode(ns.env.commits, path, space)
	if err == nil {
		ns.dropped(ctx, path, have.owner)
	}

	ns.mu.Lock()
	defer ns.mu.Unlock()
	delete(ns.owned, space)
	delete(ns.idle, space)

	return err
}

// dropped reports that a node was dropped, and its owner with it, which has ended or is nil.
func (ns *nodes) dropped(ctx context.Context, path string, o *owner) {
	by := callerOf(ctx).name()
	ns.env.log.InfoContext(ctx, "node dropped", "node", path, "user", by, "address", host(ctx))
	if o != nil && o.observer != nil && o.node != nil {
		var fx node.Effects
		o.node.Drop(&fx)
		o.observer.durable(&fx)
	}
	ns.env.audit.Write(audit.Event{Kind: audit.NodeDrop, Node: path, User: by, Peer: host(ctx)})
}

// dropping prevents new owners of the node at the path until its space is no longer in owned. If the path is not a
// node, DropNode of the catalog returns the error.
func (ns *nodes) dropping(path string) (store.Space, *owned, error) {
	ns.mu.Lock()
	defer ns.mu.Unlock()

	entry, err := ns.catalog.Lookup(path)
	if err != nil || entry.Kind != catalog.Node {
		return 0, &owned{}, err
	}
	have := ns.owned[entry.Space]
	if have == nil {
		have = &owned{}
		ns.owned[entry.Space] = have
	}
	have.dropping = true

	return entry.Space, have, nil
}

// streams yields the streams of all nodes.
func (ns *nodes) streams() iter.Seq[*stream] {
	return func(yield func(*stream) bool) {
		ns.mu.Lock()
		all := slices.Collect(maps.Values(ns.owned))
		ns.mu.Unlock()
		for _, have := range all {
			if have.owner == nil {
				continue
			}
			for _, s := range have.owner.joined() {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// stop ends all owners, which ends all streams, and waits for them.
func (ns *nodes) stop() {
	ns.mu.Lock()
	ns.cancel(errStopping)
	ns.mu.Unlock()
	ns.running.Wait()
}
