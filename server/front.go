package server

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"tenure/internal/advertise"
	"tenure/internal/catalog"
	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/peerkey"
	"tenure/internal/relay"
	"tenure/internal/serverconfig"
	"tenure/internal/store"
)

// front finds the servers of nodes that this server does not serve, and forwards streams to them. A server has one if
// it shares its store with others.
type front struct {
	members sharing
	nodes   *nodes
	clock   clock.Clock
	log     *slog.Logger
	key     *peerkey.Key
	pool    *relay.Pool
	transit answers // large messages that are being passed on
	targets targets
	gone    gone
	contact *contact
	rights  digester

	unreached *repeats[string] // servers that seem to be alive, by id

	mu       sync.Mutex              // guards the rest
	owners   map[store.Space]string  // the ids of the servers that served these nodes when they were last asked
	expected map[string]string       // the ids of the servers at these addresses
	streams  map[*forwarded]struct{} // that another server serves
}

// sharing is a store that several servers use.
type sharing interface {
	store.Members
	store.Moves
	store.Contact
}

// maxConnCalls is how many calls a connection to another server carries at most.
const maxConnCalls = 1_000

// newFront returns the front of a server, or nil if the server is the only one that uses its store.
func newFront(c *serverconfig.Config, records store.Store, limits Limits, clk clock.Clock, log *slog.Logger) (
	*front, error,
) {
	members, ok := records.(sharing)
	if !ok || !records.Shared() {
		return nil, nil
	}
	key, err := peerkey.New(members.Secret())
	if err != nil {
		return nil, err
	}
	digestKey, err := key.Derive("digest of users and rights", sha256.Size)
	if err != nil {
		return nil, err
	}

	return &front{
		members: members, clock: clk, log: log, key: key,
		pool:      relay.NewPool(key.Client(), min(maxConnCalls, limits.StreamsPerConnection)),
		unreached: newRepeats(clk, func(string) string { return "several" }),
		contact:   newContact(), rights: digester{key: digestKey}, targets: targets{settle: cmp.Or(c.Settle, defaultSettle)},
		owners: make(map[store.Space]string), expected: make(map[string]string), streams: make(map[*forwarded]struct{}),
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

// owner returns the id of the server that serves a node, or should serve it, or "" if it is this one, or if the node
// cannot be served. If no server has the node, it claims the node under the terms. If known is true, it believes what
// was found out before.
func (f *front) owner(ctx context.Context, e catalog.Entry, terms store.Terms, known bool) (string, error) {
	if f.serves(e.Space) {
		return "", nil
	}
	f.mu.Lock()
	id := f.owners[e.Space]
	f.mu.Unlock()
	if known && id != "" {
		return id, nil
	}
	if f.contact.isLost() {
		return f.replacement(ctx, terms.Avoid)
	}
	o, refusal := f.nodes.ownerUnder(e.Path, terms)
	if o == nil && refusal.Status == node.Overloaded { // another server may have more memory
		m, ok := f.targets.of(e.Space, f.members.Self().ID)
		if ok && !slices.Contains(terms.Avoid, m.ID) {
			return m.ID, nil
		}
	}
	if o == nil { // the caller finds out why
		return "", nil
	}
	select {
	case <-o.claimed:
		return "", nil
	case <-o.done:
	case <-f.contact.end():
		return f.replacement(ctx, terms.Avoid)
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if owned, ok := errors.AsType[*store.OwnedError](o.err); ok {
		f.remember(e.Space, owned.Server)

		return owned.Server, nil
	}

	return "", nil
}

// look finds out which servers are alive, unless this takes long.
func (f *front) look(ctx context.Context) (all []store.Member, err error) {
	ctx, cancel := context.WithTimeout(ctx, memberCheck)
	defer cancel()
	if all, err = f.members.Living(ctx); err == nil {
		f.targets.see(f.clock.Now(), all, f.members.Self().ID)
	}

	return all, err
}

// terms returns the terms under which this server claims a node that it wants to use. The servers to avoid have not
// served it.
func (f *front) terms(space store.Space, avoid []string) store.Terms {
	t := store.Terms{Avoid: avoid}
	if m, ok := f.targets.of(space, ""); ok && m.ID != f.members.Self().ID {
		t.Target = m.ID
	}

	return t
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

// outcome is the outcome of a call that another server was asked to carry out.
type outcome int

const (
	answered    outcome = iota
	elsewhere           // that server does not serve the node
	unreachable         // it has not got the call
)

// search calls f with the address of the server that serves the node, or should serve it, until that has answered. A
// server that has not served the node is not asked to claim it again: this one claims it then. It returns true if this
// server serves the node, or nobody can. Otherwise it returns errNoOwner when it has waited for long, or the cause of
// the end of ctx.
func (f *front) search(
	ctx context.Context, e catalog.Entry, call func(id, address string) outcome,
) (here bool, err error) {
	if f.serves(e.Space) {
		return true, nil
	}
	began := f.clock.Now()
	var avoid []string
	for pause := firstSearchPause; ; pause = min(2*pause, longestSearchPause) {
		_, _ = f.look(ctx)
		id, err := f.owner(ctx, e, f.terms(e.Space, avoid), true)
		if err != nil || id == "" {
			return err == nil, err
		}
		got := unreachable
		address := f.address(ctx, id)
		if address != "" {
			got = call(id, address)
		}
		if got == answered {
			return false, nil
		}
		f.forget(e.Space, id)
		avoid = append(avoid, id)
		if got == unreachable && address != "" && f.check(ctx, id, address) {
			continue
		}
		if f.clock.Now().Sub(began) >= ownerPatience {
			if got == unreachable && address != "" {
				f.reportUnreached(ctx, id, address)
			}

			return false, errNoOwner
		}
		if !clock.Pause(ctx, f.clock, pause) {
			return false, context.Cause(ctx)
		}
	}
}

// reportUnreached logs that this server cannot reach another one, which has a node and seems to be alive. As long as
// that one proves to the common store that it lives, its nodes stay with it.
func (f *front) reportUnreached(ctx context.Context, id, address string) {
	if number, due := f.unreached.due(id); due {
		f.log.WarnContext(ctx, "another server cannot be reached: its nodes cannot be used through this one", "server", id,
			"address", address, "times", number)
	}
}

// address returns host and port of a server, or "" if it is gone.
func (f *front) address(ctx context.Context, id string) string {
	ctx, cancel := f.contact.bound(ctx)
	defer cancel()
	m, ok, err := f.members.Member(ctx, id)
	if err != nil || !ok {
		return ""
	}
	address := dialable(m)
	f.expect(id, address)

	return address
}

// expect notes which server is expected at an address.
func (f *front) expect(id, address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expected[address] = id
}

// dialable returns host and port at which other servers reach a server.
func dialable(m store.Member) string {
	if m.Peer != "" {
		return m.Peer
	}

	return advertised(m)
}

// advertised returns host and port at which clients reach a server, which may be those of a load balancer.
func advertised(m store.Member) string {
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
	warned := make(map[string]bool)
	for clock.Pause(ctx, f.clock, memberCheck) {
		all, err := f.look(ctx)
		if err != nil {
			continue
		}
		self := f.members.Self()
		registered := false
		for _, m := range all {
			registered = registered || m.ID == self.ID
			if m.ID != self.ID && m.At() == self.At() && m.At() != "" && !warned[m.ID] {
				warned[m.ID] = true
				f.log.WarnContext(ctx, "another server has the same address: give each one a --peer-address of its own",
					"server", m.ID, "address", m.At())
			}
		}
		if registered { // otherwise this server is the one that seems to be gone
			f.dropGone(ctx, all)
		}
	}
}

// dropGone closes the connections to servers that are gone. It looks twice for those that are not among all that live.
func (f *front) dropGone(ctx context.Context, all []store.Member) {
	for _, address := range f.pool.Addresses() {
		if slices.ContainsFunc(all, func(m store.Member) bool { return dialable(m) == address }) {
			continue
		}
		f.mu.Lock()
		id := f.expected[address]
		f.mu.Unlock()
		bounded, cancel := context.WithTimeout(ctx, memberCheck)
		_, alive, err := f.members.Member(bounded, id)
		cancel()
		if err != nil || alive {
			continue
		}
		f.pool.Drop(address)
		f.mu.Lock()
		if f.expected[address] == id {
			delete(f.expected, address)
		}
		f.mu.Unlock()
	}
}

// serves reports whether this server has claimed the node and serves it, as far as it knows. Without contact to the
// common store, it serves nothing.
func (f *front) serves(space store.Space) bool { return !f.contact.isLost() && f.nodes.serves(space) }

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
