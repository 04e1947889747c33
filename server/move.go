package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"tenure/internal/clock"
	"tenure/internal/serverstats"
	"tenure/internal/store"
)

const (
	offerTimeout = time.Second     // of a question to the server that is to take a node over
	leaveTimeout = time.Second / 5 // to tell the others that this server stops

	releaseTimeout = 2 * time.Second // without an answer of the common store, others have to find out
)

// handOver ends an owner whose node another server is to serve.
type handOver struct{ to string }

func (h *handOver) Error() string {
	return fmt.Sprintf("the coordination node is handed over to server %q", h.to)
}

// servers returns the version of the servers that seem to be alive, or 0 if f is nil.
func (f *front) servers() int64 {
	if f == nil {
		return 0
	}
	version, _ := f.targets.version(0)

	return version
}

// giveUp makes a node that the owner has claimed free for other servers, if it ends for that reason. The batch of the
// owner has been finished. The function that it returns makes the next server load the node.
func (ns *nodes) giveUp(o *owner, why error) (offer func()) {
	offer = func() {}
	if ns.front == nil || !o.hasClaimed() {
		return offer
	}
	var to string
	_, tooLarge := errors.AsType[*tooLargeError](why)
	if h, ok := errors.AsType[*handOver](why); ok { // the mover offers it
		to = h.to
	} else if !errors.Is(why, errStopping) && !tooLarge {
		return offer
	} else if m, ok := ns.front.targets.of(o.space, ns.front.members.Self().ID); ok {
		to = m.ID
		ns.front.expect(m.ID, dialable(m))
		if o.sessions > 0 && !tooLarge {
			offer = func() { _ = ns.front.offer(ns.env.commits, m, o.path) }
		}
	}
	ctx, cancel := context.WithTimeout(ns.env.commits, releaseTimeout)
	defer cancel()
	if err := ns.front.members.Release(ctx, o.space, to); err != nil { // it stays this server's, unless that seems dead
		ns.env.log.WarnContext(ctx, "node not handed over", "node", o.path, "server", to, "error", err)

		return func() {}
	}

	return offer
}

func (o *owner) hasClaimed() bool {
	select {
	case <-o.claimed:
		return true
	default:
		return false
	}
}

// offer makes another server claim a node that is free. Clients would do the same, if there are any.
func (f *front) offer(ctx context.Context, to store.Member, path string) error {
	ctx, cancel := context.WithTimeout(ctx, offerTimeout)
	defer cancel()
	a, err := f.ask(ctx, dialable(to), question{Ask: askTake, Path: path})
	if err == nil && a.NotHere {
		err = errors.New("it does not take the node")
	}

	return errors.Join(err, a.err())
}

// taken waits until the node is loaded.
func (s *Server) taken(ctx context.Context, path string) error {
	o, refusal := s.nodes.owner(path)
	if o == nil {
		return errors.New(refusal.Issue)
	}
	select {
	case o.asked <- make(chan *serverstats.Node, 1):
		return nil
	case <-o.done:
		return o.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// takes returns nil if the server can be reached by its address, and takes nodes.
func (f *front) takes(ctx context.Context, m store.Member) error {
	ctx, cancel := context.WithTimeout(ctx, offerTimeout)
	defer cancel()
	a, err := f.ask(ctx, dialable(m), question{Ask: askWhoAmI})
	switch {
	case err != nil:
		return err
	case a.Server != m.ID: // one that does not know the question does not take nodes either
		return fmt.Errorf("another server answers at its address, or one of an older version: %q", a.Server)
	}

	return nil
}

// leave tells the others that this server stops.
func (s *Server) leave(ctx context.Context) {
	if s.front == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	_ = s.front.members.Leave(ctx) // otherwise they find it out
}

// mover hands nodes over to the servers that should serve them.
type mover struct {
	server *Server
	failed setbacks
	idle   int64 // version of the servers for which nodes that are not loaded were given up
}

// moveNodes hands nodes over, one at a time, until ctx ends. A node moves when the servers have changed since this
// server has claimed it, and have been the same for a while. So it moves once for each change, even if the servers do
// not agree about who is alive, or if a server cannot serve it.
func (s *Server) moveNodes(ctx context.Context) {
	m := &mover{server: s, failed: make(setbacks)}
	for clock.Pause(ctx, s.clock, memberCheck) {
		m.round(ctx)
	}
}

func (m *mover) round(ctx context.Context) {
	f := m.server.front
	version, settled := f.targets.version(m.server.clock.Now())
	if !settled {
		return
	}
	if m.idle != version {
		m.server.nodes.giveUpIdle(ctx)
		m.idle = version
	}
	for _, o := range m.server.nodes.loaded() {
		if ctx.Err() != nil || f.servers() != version {
			return
		}
		if o.servers < version && o.hasClaimed() {
			m.move(ctx, o)
		}
	}
}

// move hands the node of the owner over if another server should serve it, and takes it.
func (m *mover) move(ctx context.Context, o *owner) {
	f := m.server.front
	to, ok := f.targets.of(o.space, "")
	if !ok || to.ID == f.members.Self().ID {
		return
	}
	if !m.failed.over(to.ID, m.server.clock.Now()) {
		return
	}
	f.expect(to.ID, dialable(to))
	err := f.takes(ctx, to)
	if err == nil {
		if !m.server.nodes.handOver(o, to.ID) {
			return
		}
		f.remember(o.space, to.ID)
		if err = f.offer(ctx, to, o.path); err != nil {
			f.forget(o.space, to.ID)
			m.server.nodes.ownerUnder(o.path, store.Terms{Avoid: []string{to.ID}}) // unless somebody has claimed it
		}
	}
	switch {
	case err == nil:
		m.failed.worked(to.ID)
	case ctx.Err() == nil:
		m.failed.failed(to.ID, m.server.clock.Now())
		f.log.WarnContext(ctx, "a server does not take a node", "node", o.path, "server", to.ID, "address", to.Address,
			"error", err)
	}
}

// handOver ends the owner and hands its node over, unless it ends for another reason.
func (ns *nodes) handOver(o *owner, to string) bool {
	ns.mu.Lock()
	have := ns.owned[o.space]
	if have == nil || have.owner != o || have.dropping {
		ns.mu.Unlock()

		return false
	}
	have.cancel(&claimError{&handOver{to}})
	ns.mu.Unlock()
	<-o.done
	_, ok := errors.AsType[*handOver](o.err)
	if ok {
		ns.env.log.InfoContext(ns.ctx, "node handed over", "node", o.path, "server", to)
	}

	return ok
}

// giveUpIdle gives nodes up that this server has unloaded, so that the server that should have them claims them.
func (ns *nodes) giveUpIdle(ctx context.Context) {
	ns.mu.Lock()
	spaces := slices.Collect(maps.Keys(ns.idle))
	ns.mu.Unlock()
	for _, space := range spaces {
		if to, ok := ns.front.targets.of(space, ""); !ok || to.ID == ns.front.members.Self().ID {
			continue
		}
		ns.mu.Lock()
		idle := ns.idle[space]
		delete(ns.idle, space)
		ns.mu.Unlock()
		if idle {
			_ = ns.front.members.Release(ctx, space, "")
		}
	}
}

// background runs f in a goroutine, unless the server is stopping.
func (ns *nodes) background(f func()) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if ns.ctx.Err() == nil {
		ns.running.Go(f)
	}
}
