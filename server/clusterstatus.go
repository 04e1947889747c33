package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/status"

	"tenure/internal/catalog"
	"tenure/internal/node"
	"tenure/internal/store"
)

// MemberStatus shows one of several servers that share a store.
type MemberStatus struct {
	ID      string    `json:"id"`
	Address string    `json:"address"`         // at which clients reach it; it may be that of a load balancer
	Peer    string    `json:"peer,omitzero"`   // host and port at which other servers reach it, if they use others
	Version string    `json:"version"`         // of tenure
	Since   time.Time `json:"since,omitzero"`  // when it was started, by its clock
	Nodes   int       `json:"nodes"`           // how many it owns
	Asked   bool      `json:"asked,omitzero"`  // it has made this status
	Error   string    `json:"error,omitempty"` // why it did not answer the one that has made this status

	// Rights is equal for servers with the same users and rights: "none" without a tokens file, and otherwise a digest
	// that needs the secret of the cluster. It is empty if the server has not told it.
	Rights string `json:"rights,omitempty"`
}

// statusPatience is how long a server may take to show the nodes that it serves, if the caller cannot wait.
const statusPatience = 2 * time.Second

// signed fills in which server serves the node.
func (s *Server) signed(n NodeStatus) *NodeStatus {
	if s.front != nil {
		self := s.front.members.Self()
		n.Server, n.ServerID = self.At(), self.ID
	}

	return &n
}

// served returns the state of the nodes that this server serves. It claims and loads none.
func (s *Server) served(ctx context.Context, inMemory bool) (all []NodeStatus, err error) {
	for _, o := range s.nodes.loaded() {
		snapshot, err := o.snapshot(ctx)
		switch {
		case s.storeFailure() != nil:
			return nil, s.storeFailure()
		case err == nil:
			all = append(all, *s.signed(nodeStatus(o.path, snapshot, s.clock)))
		case o.hasEnded() && s.nodes.ctx.Err() == nil: // the store has what it had
		default:
			return nil, fmt.Errorf("node %q: %w", o.path, err)
		}
	}
	paths, err := s.nodePaths()
	for _, path := range paths {
		e, _, ok := s.nodes.find(path)
		if !ok || !s.nodes.unloaded(path) {
			continue
		}
		n, err := s.stored(ctx, e, inMemory)
		if err != nil {
			return nil, fmt.Errorf("node %q: %w", path, err)
		}
		n.Idle = inMemory
		all = append(all, *s.signed(n))
	}

	return all, err
}

// clusterStatus completes the status of servers that share a store. It claims nothing.
func (s *Server) clusterStatus(ctx context.Context, out Status, paths []string, inMemory bool) (Status, error) {
	fail := func(err error) (Status, error) { return Status{}, fmt.Errorf("status: %w", err) }
	owners, err := s.store.(store.Owners).Owners(ctx)
	if err != nil {
		return fail(err)
	}
	living, err := s.front.members.Living(ctx)
	if err != nil {
		return fail(err)
	}
	self := s.front.members.Self()
	if !slices.ContainsFunc(living, func(m store.Member) bool { return m.ID == self.ID }) { // its registration has expired
		living = append(living, self)
	}
	servers, shown := s.askAll(ctx, living, inMemory)
	byID := make(map[string]*MemberStatus)
	for i := range servers {
		byID[servers[i].ID] = &servers[i]
		if servers[i].Asked && servers[i].Error != "" {
			return fail(errors.New(servers[i].Error))
		}
	}
	for _, path := range paths {
		e, _, ok := s.nodes.find(path)
		if !ok {
			continue
		}
		owner := byID[owners[e.Space]]
		if owner != nil {
			owner.Nodes++
		}
		n := shown[path]
		if n == nil {
			stored, err := s.stored(ctx, e, inMemory)
			if err != nil {
				return fail(fmt.Errorf("node %q: %w", path, err))
			}
			n, stored.Unserved = &stored, true
			if owner != nil {
				n.Server, n.ServerID = cmp.Or(owner.Peer, owner.Address), owner.ID
			}
		}
		out.Nodes = append(out.Nodes, *n)
	}
	out.Servers = servers

	return out, nil
}

// askAll returns the servers, and the nodes that they serve by their paths.
func (s *Server) askAll(
	ctx context.Context, living []store.Member, inMemory bool,
) (servers []MemberStatus, nodes map[string]*NodeStatus) {
	patience := askPatience
	if inMemory {
		patience = statusPatience
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answers := make([]answer, len(living))
	var asking sync.WaitGroup
	for i, m := range living {
		st := MemberStatus{
			ID: m.ID, Address: m.Address, Peer: m.Peer, Version: m.Version, Since: date(m.Since),
			Asked: m.ID == s.front.members.Self().ID,
		}
		servers = append(servers, st)
		asking.Go(func() {
			ctx, q := bounded, question{Ask: askNodes, InMemory: inMemory}
			if st.Asked {
				answers[i] = s.answerTo(ctx, q)

				return
			}
			var err error
			if answers[i], err = s.front.ask(ctx, dialable(m), q); err != nil {
				answers[i].Text = status.Convert(err).Message()
			}
		})
	}
	asking.Wait()
	nodes = make(map[string]*NodeStatus)
	for i := range answers {
		servers[i].Error, servers[i].Rights = answers[i].Text, answers[i].Rights
		for j := range answers[i].Nodes {
			nodes[answers[i].Nodes[j].Path] = &answers[i].Nodes[j]
		}
	}
	slices.SortFunc(servers, func(a, b MemberStatus) int {
		return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.ID, b.ID))
	})

	return servers, nodes
}

// stored returns what the store has of a node, or only its path if that would take too long.
func (s *Server) stored(ctx context.Context, e catalog.Entry, inMemory bool) (NodeStatus, error) {
	if inMemory {
		return NodeStatus{Path: e.Path, Semaphores: []SemaphoreStatus{}}, nil
	}
	cfg := e.Config.Node()
	cfg.Frozen = s.catalog.Wait() > 0
	loaded, err := node.Load(s.clock.Now(), cfg, s.store.Load(ctx, e.Space))
	if err != nil {
		return NodeStatus{}, err
	}
	snapshot := loaded.Snapshot()
	for i := range snapshot.Sessions {
		snapshot.Sessions[i].Ends = 0 // no timeout runs
	}

	return nodeStatus(e.Path, snapshot, s.clock), nil
}
