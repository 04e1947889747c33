package server

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	"tenure/internal/advertise"
	"tenure/internal/catalog"
	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/peerkey"
	"tenure/internal/relay"
	"tenure/internal/store"
)

// front finds the servers of nodes that this server does not serve, and forwards streams to them. A server has one if
// it shares its store with others.
type front struct {
	members store.Members
	nodes   *nodes
	clock   clock.Clock
	key     *peerkey.Key
	pool    *relay.Pool
	transit answers // large messages that are being passed on

	mu      sync.Mutex              // guards the rest
	owners  map[store.Space]string  // the ids of the servers that served these nodes when they were last asked
	streams map[*forwarded]struct{} // that another server serves
}

// self returns the address of this server, or "" if f is nil.
func (f *front) self() string {
	if f == nil {
		return ""
	}

	return f.members.Self().Address
}

// maxConnCalls is how many calls a connection to another server carries at most.
const maxConnCalls = 1_000

// newFront returns the front of a server, or nil if the server is the only one that uses its store.
func newFront(records store.Store, limits Limits, clk clock.Clock) (*front, error) {
	members, ok := records.(store.Members)
	if !ok || !records.Shared() {
		return nil, nil
	}
	key, err := peerkey.New(members.Secret())
	if err != nil {
		return nil, err
	}

	return &front{
		members: members, clock: clk, key: key,
		pool:   relay.NewPool(key.Client(), min(maxConnCalls, limits.StreamsPerConnection)),
		owners: make(map[store.Space]string), streams: make(map[*forwarded]struct{}),
	}, nil
}

// ownerPatience is how long a stream waits for a server that serves its node.
const ownerPatience = 2 * time.Second

// The pauses between two attempts to find such a server.
const (
	firstSearchPause   = 10 * time.Millisecond
	longestSearchPause = 200 * time.Millisecond
)

// noOwner is the Failure for a stream to whose node no server has been found.
var noOwner = node.Failure{
	Status: node.Unavailable, Issue: "no server of the cluster serves the coordination node at the moment",
}

// errNoOwner reports that no server serves a node.
var errNoOwner = errors.New(noOwner.Issue)

// owner returns the id of the server that serves a node, or "" if it is this one, or if the node cannot be served. It
// claims the node if no server has it.
func (f *front) owner(ctx context.Context, e catalog.Entry) (string, error) {
	if f.nodes.serves(e.Space) {
		return "", nil
	}
	f.mu.Lock()
	id := f.owners[e.Space]
	f.mu.Unlock()
	if id != "" {
		return id, nil
	}
	o, _ := f.nodes.owner(e.Path)
	if o == nil { // the caller finds out why
		return "", nil
	}
	select {
	case <-o.claimed:
		return "", nil
	case <-o.done:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if owned, ok := errors.AsType[*store.OwnedError](o.err); ok {
		f.remember(e.Space, owned.Server)

		return owned.Server, nil
	}

	return "", nil
}

// maxOwners bounds the memory for servers of nodes, some of which may have been dropped.
const maxOwners = 10_000

func (f *front) remember(space store.Space, id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.owners) >= maxOwners {
		clear(f.owners)
	}
	f.owners[space] = id
}

// forget forgets that a server serves a node. It has not answered, or has said that it does not serve it.
func (f *front) forget(space store.Space, id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.owners[space] == id {
		delete(f.owners, space)
	}
}

// search calls f with the address of the server that serves the node, until f returns true. It returns true if this
// server serves the node, or nobody can. Otherwise it returns errNoOwner when it has waited for long, or the cause of
// the end of ctx.
func (f *front) search(ctx context.Context, e catalog.Entry, call func(address string) bool) (here bool, err error) {
	began := f.clock.Now()
	for pause := firstSearchPause; ; pause = min(2*pause, longestSearchPause) {
		id, err := f.owner(ctx, e)
		if err != nil || id == "" {
			return err == nil, err
		}
		if address := f.address(ctx, id); address != "" && call(address) {
			return false, nil
		}
		f.forget(e.Space, id)
		if f.clock.Now().Sub(began) >= ownerPatience {
			return false, errNoOwner
		}
		if !clock.Pause(ctx, f.clock, pause) {
			return false, context.Cause(ctx)
		}
	}
}

// address returns host and port of a server, or "" if it is gone.
func (f *front) address(ctx context.Context, id string) string {
	m, ok, err := f.members.Member(ctx, id)
	if err != nil || !ok {
		return ""
	}

	return dialable(m)
}

func dialable(m store.Member) string {
	e, err := advertise.Parse(m.Address)
	if err != nil {
		return ""
	}

	return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
}

// memberCheck is how often a front looks whether the servers to which it is connected are alive.
const memberCheck = 500 * time.Millisecond

// watchMembers ends the streams to servers that are gone, until ctx ends. The machine of such a server may be gone too,
// so that the connection to it does not break.
func (f *front) watchMembers(ctx context.Context) {
	for clock.Pause(ctx, f.clock, memberCheck) {
		if f.pool.Empty() {
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, memberCheck)
		all, err := f.members.Living(bounded)
		cancel()
		if err != nil {
			continue
		}
		living, self := make(map[string]bool), false
		for _, m := range all {
			living[dialable(m)] = true
			self = self || m.ID == f.members.Self().ID
		}
		if self { // otherwise this server is the one that seems to be gone
			f.pool.Keep(living)
		}
	}
}

// serves reports whether this server has claimed the node and serves it.
func (ns *nodes) serves(space store.Space) bool {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	have := ns.owned[space]
	if have == nil || have.owner == nil || have.hasEnded() {
		return false
	}
	select {
	case <-have.claimed:
		return true
	default:
		return false
	}
}
