package server

import (
	"context"
	"errors"
	"sync"

	"tenure/internal/catalog"
	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/store"
)

// Why an owner ends, other than by a fault.
var (
	errStopping = errors.New("the server is stopping")
	errDropped  = errors.New("the coordination node was dropped")
)

// nodes finds the owner of each coordination node; a node is loaded when it is first used. Nothing of it is on the way
// of a request: a stream asks once.
type nodes struct {
	catalog *catalog.Catalog
	env     *ownerEnv
	started clock.Instant // no session was attached between the end of the server before and this
	fatal   func(error)   // told once the store has failed

	ctx     context.Context // of all owners; ends with errStopping
	cancel  context.CancelCauseFunc
	running sync.WaitGroup // owners

	mu    sync.Mutex // guards owned, and holds a lookup and what follows from it together
	owned map[store.Space]*owned
}

// owned is a node that was used since the server started. Its owner is replaced when it has failed.
type owned struct {
	*owner   // nil: none was started
	cancel   context.CancelCauseFunc
	dropping bool
}

func newNodes(c *catalog.Catalog, env *ownerEnv, fatal func(error)) *nodes {
	ctx, cancel := context.WithCancelCause(context.Background())

	return &nodes{
		catalog: c, env: env, started: env.clock.Now(), fatal: fatal,
		ctx: ctx, cancel: cancel,
		owned: make(map[store.Space]*owned),
	}
}

// owner returns the owner of the node at the path, or nil and how an attach to it is refused (A3).
func (ns *nodes) owner(path string) (*owner, node.Failure) {
	if path == "" {
		return nil, node.Failure{Status: node.BadRequest, Issue: "KesusPath cannot be empty"}
	}

	ns.mu.Lock()
	defer ns.mu.Unlock()

	if ns.ctx.Err() != nil {
		return nil, node.Failure{Status: node.Unavailable, Issue: errStopping.Error()}
	}
	entry, err := ns.catalog.Lookup(path)
	if refusal, ok := errors.AsType[*catalog.Error](err); ok && refusal.Status == node.Unavailable {
		return nil, node.Failure{Status: node.Unavailable, Issue: refusal.Issue}
	}
	if err != nil || entry.Kind != catalog.Node {
		return nil, node.Failure{Status: node.NotFound, Issue: "Kesus not found"}
	}
	have := ns.owned[entry.Space]
	switch {
	case have == nil:
		return ns.start(entry, ns.started), node.Failure{}
	case have.dropping:
		return nil, node.Failure{Status: node.NotFound, Issue: "Kesus not found"}
	}
	select {
	case <-have.done: // it failed; its sessions were attached until then
		return ns.start(entry, have.ended), node.Failure{}
	default:
		return have.owner, node.Failure{}
	}
}

// start starts an owner for a node whose sessions are detached since the instant lost. It is called with mu held.
func (ns *nodes) start(e catalog.Entry, lost clock.Instant) *owner {
	o := newOwner(e.Path, e.Space, ns.env)
	ctx, cancel := context.WithCancelCause(ns.ctx)
	ns.owned[e.Space] = &owned{owner: o, cancel: cancel}
	ns.running.Go(func() {
		err := o.run(ctx, lost, e.Config.Node())
		ns.report(o.path, err)
		o.end(err)
	})

	return o
}

// report logs why an owner ends, if that is a fault.
func (ns *nodes) report(path string, err error) {
	log := ns.env.log.With("node", path)
	p, panicked := errors.AsType[*panicError](err)
	_, lostStore := errors.AsType[*storeError](err)
	switch {
	case errors.Is(err, errStopping), errors.Is(err, errDropped):
	case lostStore:
		ns.fatal(err)
	case panicked:
		log.ErrorContext(ns.ctx, "node failed, it is loaded anew from its records", "panic", p.value,
			"stack", string(p.stack))
	default:
		log.ErrorContext(ns.ctx, "node failed, it is loaded anew from its records", "error", err)
	}
}

// reason is what the streams of an owner that has ended are told.
func (o *owner) reason() string {
	if errors.Is(o.err, errStopping) || errors.Is(o.err, errDropped) {
		return o.err.Error()
	}

	return "the coordination node failed and is loaded anew"
}

// drop drops the node at the path with all that is in it (N3). Its owner ends first, so that nothing can be written
// into the space that goes, and none is started for it in between.
func (ns *nodes) drop(ctx context.Context, path string) error {
	space, have, err := ns.dropping(path)
	if err != nil {
		return err
	}
	if have.owner != nil {
		have.cancel(errDropped)
		<-have.done
	}
	// From here on the caller can't call it off: a node that stays would have to be loaded as one whose sessions were
	// attached until now, and kept from a second call that drops it.
	err = ns.catalog.DropNode(context.WithoutCancel(ctx), path, space)

	ns.mu.Lock()
	defer ns.mu.Unlock()
	delete(ns.owned, space)

	return err
}

// dropping keeps new owners from the node at the path until its space is no longer in owned. Of what is no node the
// catalog says so later.
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

// stop ends all owners, which ends all streams, and waits for them.
func (ns *nodes) stop() {
	ns.mu.Lock()
	ns.cancel(errStopping)
	ns.mu.Unlock()
	ns.running.Wait()
}
