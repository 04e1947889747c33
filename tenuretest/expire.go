package tenuretest

import (
	"context"
	"time"

	"tenure/internal/node"
	"tenure/internal/serverconfig"
	"tenure/server"
)

// askLimit is the real time that the server has for one question.
const askLimit = 10 * time.Second

// ExpireSessions ends every session now, as if its timeout had passed, and returns how many it has ended. All leases
// are lost and all waiters lose their places. See Expire for when clients notice.
func (s *Server) ExpireSessions() int {
	return s.expire("expire sessions", func(n *node.Snapshot) (ids []uint64) {
		for _, session := range n.Sessions {
			ids = append(ids, session.Session)
		}

		return ids
	})
}

// Expire ends the sessions that own the semaphore with the given name now, as if their timeouts had passed, and returns
// how many it has ended. The next waiter is granted the semaphore. Semaphores with this name in all nodes count.
//
// When Expire returns, clients that Client or NewClient returned, and that reach the server, have noticed: the contexts
// of their leases have ended with tenure.ErrSessionExpired. Others notice within milliseconds. Unlike with Partition,
// the waiter may be granted the semaphore before the old owner notices. That makes Expire a test of fencing too.
func (s *Server) Expire(name string) int {
	return s.expire("expire", func(n *node.Snapshot) (ids []uint64) {
		for _, semaphore := range n.Semaphores {
			if semaphore.Name != name {
				continue
			}
			for _, owner := range semaphore.Owners {
				ids = append(ids, owner.Session)
			}
		}

		return ids
	})
}

// expire ends the sessions of each node that choose returns.
func (s *Server) expire(op string, choose func(*node.Snapshot) []uint64) (ended int) {
	control, _ := s.reachable()
	if control == nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	err := control.Expire(ctx, func(_ string, n *node.Snapshot) []uint64 {
		ids := choose(n)
		ended += len(ids)

		return ids
	})
	if s.runs(control) { // else the server was stopped meanwhile, which is no fault of it
		s.check(op, err)
	}
	s.check(op, s.settle())

	return ended
}

// runs reports whether the server that the control belongs to has not been stopped.
func (s *Server) runs(control *serverconfig.Control) bool {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.control == control
}

// Holder returns the owner of the semaphore with the given name, and whether there is one. Of several owners it returns
// the one with the lowest token, and of several nodes that have such a semaphore the first by path. A server that does
// not run has no owners.
func (s *Server) Holder(name string) (server.HolderStatus, bool) {
	s.mu.Lock()
	srv, control := s.server, s.control
	s.mu.Unlock()
	if srv == nil {
		return server.HolderStatus{}, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	status, err := srv.Status(ctx)
	if s.runs(control) {
		s.check("holder", err)
	}
	for _, n := range status.Nodes {
		for _, semaphore := range n.Semaphores {
			if semaphore.Name == name && len(semaphore.Owners) > 0 {
				return semaphore.Owners[0], true
			}
		}
	}

	return server.HolderStatus{}, false
}
