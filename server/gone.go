package server

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/singleflight"

	"tenure/internal/clock"
)

const (
	goneTimeout = 500 * time.Millisecond // of an attempt to connect
	gonePeriod  = time.Minute            // between two removals of the same server
)

// gone finds out whether other servers are dead.
type gone struct {
	running singleflight.Group // by the id of the server

	mu      sync.Mutex // guards removed
	removed map[string]clock.Instant
}

// check removes a server that does not accept connections from those that seem to be alive, and returns true if it has.
// A machine that refuses a connection runs, and the server does not. It is no matter if this is wrong, as with a server
// whose address is another one's: it registers again. So that this does not happen all the time, a server is removed at
// most once a minute.
func (f *front) check(ctx context.Context, id, address string) bool {
	removed, _, _ := f.gone.running.Do(id, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 4*goneTimeout)
		defer cancel()

		return f.remove(ctx, id, address), nil
	})

	return removed.(bool)
}

func (f *front) remove(ctx context.Context, id, address string) bool {
	if !f.gone.due(id, f.clock.Now()) || !refuses(ctx, address) {
		return false
	}
	f.pool.Drop(address) // its connection would not be tried again for a while, not even if a new server starts there
	m, _, _ := f.members.Member(ctx, id)
	was, err := f.members.Remove(ctx, id)
	if was {
		f.gone.note(id, f.clock.Now())
	}
	if was && !m.Leaving { // otherwise it has said so
		f.log.WarnContext(ctx, "a server refuses connections: others may take its nodes over", "server", id,
			"address", address)
	}
	_, alive, unknown := f.members.Member(ctx, id) // it may have registered again

	return err == nil && unknown == nil && !alive
}

// refuses reports whether nobody listens at the address.
func refuses(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, goneTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err == nil {
		_ = conn.Close()
	}

	return errors.Is(err, syscall.ECONNREFUSED)
}

// due reports whether the server may be removed.
func (g *gone) due(id string, now clock.Instant) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	last, ok := g.removed[id]

	return !ok || now.Sub(last) >= gonePeriod
}

func (g *gone) note(id string, now clock.Instant) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for other, last := range g.removed {
		if now.Sub(last) >= gonePeriod {
			delete(g.removed, other)
		}
	}
	if g.removed == nil {
		g.removed = make(map[string]clock.Instant)
	}
	g.removed[id] = now
}
