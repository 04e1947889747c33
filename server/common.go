package server

import (
	"context"

	"tenure/internal/catalog"
	"tenure/internal/node"
	"tenure/internal/store"
)

// verified is find, but it misses no node that another server has created.
func (ns *nodes) verified(ctx context.Context, path string) (catalog.Entry, node.Failure, bool) {
	entry, refusal, ok := ns.find(path)
	if ok || !ns.maybeNew(refusal) {
		return entry, refusal, ok
	}
	if refusal, ok := ns.sync(ctx); !ok {
		return catalog.Entry{}, refusal, false
	}

	return ns.find(path)
}

// maybeNew reports whether the failure may be due to a tree that does not show the latest changes of other servers.
func (ns *nodes) maybeNew(refusal node.Failure) bool {
	return refusal.Status == node.NotFound && ns.catalog.Common()
}

// sync makes the tree show the changes of other servers, or returns false and a failure that a client tries again
// after.
func (ns *nodes) sync(ctx context.Context) (node.Failure, bool) {
	if ns.front != nil {
		bounded, cancel := ns.front.contact.bound(ctx)
		defer cancel()
		ctx = bounded
	}
	if err := ns.catalog.Sync(ctx); err != nil {
		return node.Failure{Status: node.Unavailable, Issue: err.Error()}, false
	}

	return node.Failure{}, true
}

// gone ends the owner of a node that another server has dropped.
func (ns *nodes) gone(space store.Space) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	delete(ns.idle, space)
	have := ns.owned[space]
	switch {
	case have == nil, have.dropping, ns.ctx.Err() != nil: // by this server
	case have.owner == nil:
		delete(ns.owned, space)
	default:
		have.dropping = true
		have.cancel(errDropped)
		ns.running.Go(func() {
			<-have.done
			ns.mu.Lock()
			defer ns.mu.Unlock()
			delete(ns.owned, space)
		})
	}
}
