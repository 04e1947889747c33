package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tenure/internal/catalog"
	"tenure/internal/clock"
	"tenure/internal/nocontext"
	"tenure/internal/node"
)

// Status shows the state of a server's coordination nodes, for people and scripts. Its JSON form is stable: fields may
// be added, but none changes its meaning. Lists are never null. Numbers are integers from 0 to 2^64-1.
type Status struct {
	// GrantsFrom is when the server begins to grant again. Until then it grants nothing, because it was restored from a
	// backup, and clients may still hold what the lost server has granted them. It is left out if the server grants.
	GrantsFrom time.Time `json:"grants_from,omitzero"`

	Nodes []NodeStatus `json:"nodes"` // by path

	// Servers are those that share the store with this one, and this one. It is left out if there can be no others.
	Servers []MemberStatus `json:"servers,omitempty"` // by address and id
}

// NodeStatus is a coordination node at one moment.
type NodeStatus struct {
	Path       string            `json:"path"`
	Server     string            `json:"server,omitzero"` // the address of the one that serves it, if there are several
	ServerID   string            `json:"server_id,omitzero"`
	Idle       bool              `json:"idle,omitzero"` // see StatusInMemory
	Sessions   int               `json:"sessions"`      // attached and detached
	Semaphores []SemaphoreStatus `json:"semaphores"`    // by name

	// Unserved reports that, of several servers, none serves the node at the moment, or that the one that does has not
	// answered. What is shown is what the common store has, so no session is attached, and most dates are not known.
	Unserved bool `json:"unserved,omitzero"`
}

// SemaphoreStatus shows a semaphore. Data, here and in HolderStatus, is text: each run of invalid UTF-8 bytes is
// replaced by one U+FFFD.
type SemaphoreStatus struct {
	Name      string         `json:"name"`
	Limit     uint64         `json:"limit"`
	Count     uint64         `json:"count"` // held by all owners together; at most Limit
	Ephemeral bool           `json:"ephemeral"`
	Data      string         `json:"data"`
	Owners    []HolderStatus `json:"owners"`  // by token
	Waiters   []HolderStatus `json:"waiters"` // by token, which is the queue order
}

// HolderStatus shows an owner of a semaphore, or a waiter. A date is that of the server's wall clock.
type HolderStatus struct {
	// Since is when an owner was granted the semaphore, or when a waiter joined the queue. The grants of owners from
	// before a restart of the server have no date. For these, SinceBefore is the time of the restart. Dates that are not
	// known are left out.
	Since       time.Time `json:"since,omitzero"`
	SinceBefore time.Time `json:"since_before,omitzero"`
	// Ends is when the session timeout of a session without a client passes.
	Ends time.Time `json:"ends,omitzero"`

	Session     uint64 `json:"session"`
	Attached    bool   `json:"attached"`    // false: the session timeout is running
	Description string `json:"description"` // of the session, as set by its client
	Token       uint64 `json:"token"`       // the fencing token; for a waiter, the one that it will have
	Count       uint64 `json:"count"`
	Data        string `json:"data"`
}

// Status returns the state of all coordination nodes. It loads nodes that are not loaded. Each node is shown at one
// moment, and different nodes at different moments. A crash cannot revoke anything that Status has returned. Status
// fails if it cannot read one of the nodes, if the server stops or has stopped, and if the store has failed. If servers
// share the store, it asks all of them, and reads nodes that none of them serves from the store, without serving them.
//
// While Status copies a node's state, the node serves no requests. That takes about 40 ms for a node with 100,000
// semaphores that have one owner each. The rest of the work does not delay the node. It takes twice as long, and about
// 600 bytes of memory for each semaphore with its owner, in addition to their data.
func (s *Server) Status(ctx context.Context) (Status, error) { return s.status(ctx, false) }

// StatusInMemory is like Status, but does not load a node again that the server has unloaded because it had no session
// for a while. It returns such a node as Idle. Nor does it read nodes that no server serves. So it can be called often.
func (s *Server) StatusInMemory(ctx context.Context) (Status, error) { return s.status(ctx, true) }

func (s *Server) status(ctx context.Context, inMemory bool) (Status, error) {
	if ctx == nil {
		return Status{}, fmt.Errorf("status: %w", nocontext.Err)
	}
	if err := s.over(); err != nil { // nodes that are asked say so too, but there may be none
		return Status{}, fmt.Errorf("status: %w", err)
	}
	status := Status{GrantsFrom: s.grantsFrom(), Nodes: []NodeStatus{}}
	if !inMemory {
		if err := s.syncSoon(ctx); err != nil {
			return Status{}, fmt.Errorf("status: %w", err)
		}
	}
	paths, err := s.nodePaths()
	if err != nil {
		return Status{}, fmt.Errorf("status: %w", err)
	}
	if s.front != nil {
		return s.clusterStatus(ctx, status, paths, inMemory)
	}
	for _, path := range paths {
		n, err := s.nodeStatusHere(ctx, path, inMemory)
		if err != nil {
			return Status{}, fmt.Errorf("status of node %q: %w", path, err)
		}
		if n != nil {
			status.Nodes = append(status.Nodes, *n)
		}
	}

	return status, nil
}

// over returns the reason if the server serves nothing any more: it stops or has stopped, or its store has failed.
func (s *Server) over() error {
	if failure := s.storeFailure(); failure != nil {
		return failure
	}
	if s.nodes.ctx.Err() != nil {
		return errStopping
	}

	return nil
}

// errStoreAway is returned to a person who would wait in vain.
var errStoreAway = fmt.Errorf("etcd does not answer this server within %v: check that etcd runs, with a majority of "+
	"its members, and that this server can reach it: \"tenure doctor --etcd\" shows that", suspectAfter)

// syncSoon is like Sync of the catalog, but does not wait for a common store that is away.
func (s *Server) syncSoon(ctx context.Context) error {
	if s.front == nil {
		return s.catalog.Sync(ctx)
	}
	contact, release := s.front.contact.bound(ctx)
	defer release()
	limited, cancel := context.WithTimeout(contact, suspectAfter)
	defer cancel()
	err := s.catalog.Sync(limited)
	switch {
	case err == nil, ctx.Err() != nil:
		return err
	case contact.Err() != nil:
		return context.Cause(contact)
	case limited.Err() != nil:
		return errStoreAway
	}

	return err
}

// nodeStatusHere returns the state of the node at the path, which this server serves or may serve, or nil if the node
// no longer exists.
func (s *Server) nodeStatusHere(ctx context.Context, path string, inMemory bool) (*NodeStatus, error) {
	if inMemory && s.nodes.unloaded(path) { // it stays with the server that has unloaded it
		return s.signed(NodeStatus{Path: path, Idle: true, Semaphores: []SemaphoreStatus{}}), nil
	}
	snapshot, err := s.nodes.snapshot(ctx, path)
	if failure := s.storeFailure(); failure != nil { // an owner that was started after the failure does not know of it
		err = failure
	}
	if err != nil || snapshot == nil {
		return nil, err
	}

	return s.signed(nodeStatus(path, snapshot, s.clock)), nil
}

// nodePaths returns the paths of all nodes, sorted.
func (s *Server) nodePaths() (paths []string, err error) {
	dirs := []string{s.catalog.Database()}
	for len(dirs) > 0 {
		dir := dirs[len(dirs)-1]
		dirs = dirs[:len(dirs)-1]
		_, entries, err := s.catalog.List(dir)
		if refused, ok := errors.AsType[*catalog.Error](err); ok && refused.Status == node.SchemeError {
			continue // the directory has been removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.Kind == catalog.Node {
				paths = append(paths, e.Path)
			} else {
				dirs = append(dirs, e.Path)
			}
		}
	}
	slices.Sort(paths)

	return paths, nil
}

// snapshot returns the state of the node at the path, or nil if the node no longer exists.
func (ns *nodes) snapshot(ctx context.Context, path string) (*node.Snapshot, error) {
	var snapshot *node.Snapshot
	refusal, err := ns.use(path, func(o *owner) (err error) {
		snapshot, err = o.snapshot(ctx)

		return err
	})
	switch {
	case refusal.Status == node.NotFound, errors.Is(err, errDropped):
		return nil, nil
	case refusal.Status != 0:
		return nil, errors.New(refusal.Issue)
	}

	return snapshot, err
}

// look asks an owner for a snapshot of its node. The owner sends it when everything in it is durable.
type look chan *node.Snapshot

// snapshot asks the owner for a snapshot and waits for it.
func (o *owner) snapshot(ctx context.Context) (*node.Snapshot, error) {
	look := make(look, 1) // the caller may be gone when the snapshot is sent
	select {
	case o.looks <- look:
	case <-o.done:
		return nil, o.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}

	return o.await(ctx, look)
}

// await returns the snapshot that the owner sends, or the reason why none comes.
func (o *owner) await(ctx context.Context, look look) (*node.Snapshot, error) {
	select {
	case s := <-look:
		return s, nil
	case <-o.done:
		return nil, o.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func nodeStatus(path string, s *node.Snapshot, clk clock.Clock) NodeStatus {
	n := NodeStatus{
		Path: path, Sessions: len(s.Sessions), Semaphores: make([]SemaphoreStatus, 0, len(s.Semaphores)),
	}
	sessions := make(map[uint64]node.SessionState, len(s.Sessions))
	for _, session := range s.Sessions {
		sessions[session.Session] = session
	}
	holders := func(hs []node.Holder, waiting uint64) []HolderStatus {
		out := make([]HolderStatus, 0, len(hs))
		for _, h := range hs {
			session := sessions[h.Session]
			out = append(out, HolderStatus{
				Session: h.Session, Attached: session.Attached, Description: session.Description,
				Token: h.OrderID, Count: h.Count, Data: text(h.Data), Since: date(cmp.Or(h.Granted, waiting*h.Joined)),
			})
			if session.Ends != 0 {
				out[len(out)-1].Ends = clk.Time(session.Ends).UTC().Truncate(time.Millisecond)
			}
			if h.Granted == 0 && waiting == 0 {
				out[len(out)-1].SinceBefore = date(s.Lost)
			}
		}

		return out
	}
	for _, sem := range s.Semaphores {
		n.Semaphores = append(n.Semaphores, SemaphoreStatus{
			Name: sem.Name, Limit: sem.Limit, Count: sem.Count, Ephemeral: sem.Ephemeral, Data: text(sem.Data),
			Owners: holders(sem.Owners, 0), Waiters: holders(sem.Waiters, 1),
		})
	}
	slices.SortFunc(n.Semaphores, func(a, b SemaphoreStatus) int { return cmp.Compare(a.Name, b.Name) })

	return n
}

// date returns a date in milliseconds since 1970, or the zero time if it is unknown.
func date(ms uint64) time.Time {
	if ms == 0 {
		return time.Time{}
	}

	return time.UnixMilli(int64(ms)).UTC()
}

func text(b []byte) string { return strings.ToValidUTF8(string(b), "\uFFFD") }
