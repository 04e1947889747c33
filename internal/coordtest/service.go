// Package coordtest is a coordination service in memory, with a client, for the tests of recipes in virtual time.
//
// It follows the protocol's rules about sessions and semaphores. Messages take time to arrive, and arrive in order. The
// client has the weaknesses of ydb-go-sdk's client: it keeps trying to open a session on a missing node, drops the
// status of answers, leaves an acquire waiting when its session ends, cancels acquires in the background, and closes
// abruptly. In one respect it is better: it gives up a lease before the service does.
package coordtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"
	"github.com/ydb-platform/ydb-go-sdk/v3/scheme"
)

// A StatusError is an answer of the service that is not SUCCESS.
type StatusError struct {
	Status Ydb.StatusIds_StatusCode
	Text   string
}

func (e *StatusError) Error() string { return e.Status.String() + ": " + e.Text }

// Code returns the status, like the method of ydb-go-sdk's errors.
func (e *StatusError) Code() int32 { return int32(e.Status) }

// Issues returns the text, like the method of ydb-go-sdk's errors.
func (e *StatusError) Issues() []*Ydb_Issue.IssueMessage {
	return []*Ydb_Issue.IssueMessage{{Message: e.Text}}
}

// Stalled is a fault that keeps a unary call waiting until its ctx ends, as the SDK's client does while it repeats the
// call. The call then returns Last, or ctx's error if Last is nil.
type Stalled struct{ Last error }

func (s Stalled) Error() string { return fmt.Sprintf("stalled: %v", s.Last) }

// A Service is both the service and its client. It is safe for concurrent use.
type Service struct {
	// Reveal makes calls of a session return statuses as StatusErrors. By default the client drops them.
	Reveal bool
	// Late makes an acquire return the lease if its ctx ends while the grant is on the way.
	Late bool
	// Unwatched makes the service add no watches.
	Unwatched bool

	mu       sync.Mutex // guards the rest
	travel   func() time.Duration
	nodes    map[string]*node
	sessions map[uint64]*Session // sessions that have not ended for the service
	lastID   uint64              // the id of the newest session
	orders   uint64              // the newest acquire's order id (C4)
	fault    func(call string) error
	calls    map[string]int
	changed  chan struct{} // closed and replaced when nodes or fault change
}

// A node is a coordination node. Its path is the key in Service.nodes.
type node struct {
	semaphores map[string]*semaphore
}

// NewService returns a service without nodes, whose messages take a millisecond.
func NewService() *Service {
	return &Service{
		travel:   func() time.Duration { return time.Millisecond },
		nodes:    map[string]*node{},
		sessions: map[uint64]*Session{},
		fault:    func(string) error { return nil },
		calls:    map[string]int{},
		changed:  make(chan struct{}),
	}
}

// SetFault makes fault decide whether a call of CreateNode, DescribeNode, Session, AcquireSemaphore or CreateSemaphore
// fails, and with which error. While fault returns an error for Session, the call waits. The errors for
// AcquireSemaphore and CreateSemaphore are the service's answers.
func (s *Service) SetFault(fault func(call string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
	s.wake()
}

// SetDelay sets the function that returns how long the next message takes.
func (s *Service) SetDelay(delay func() time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.travel = delay
}

// Calls returns the number of calls of the method.
func (s *Service) Calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.calls[method]
}

// CreatePersistent creates a persistent semaphore.
func (s *Service) CreatePersistent(path, name string, limit uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes[path].semaphores[name] = &semaphore{persistent: true, limit: limit}
}

// Replace deletes a semaphore with force (S3) and creates a persistent one. It may only be called by a fault.
func (s *Service) Replace(path, name string, limit uint64) {
	s.nodes[path].semaphores[name] = &semaphore{persistent: true, limit: limit}
}

// Touch fires the watches of a semaphore as if its owners had changed.
func (s *Service) Touch(path, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes[path].semaphores[name].changed()
}

// Owner returns the id of the session that owns the semaphore, or 0. If there are several, it is the one with the
// lowest token.
func (s *Service) Owner(path, name string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.nodes[path]; n != nil {
		if sem := n.semaphores[name]; sem != nil && len(sem.links) > 0 {
			return sem.links[0].session.id
		}
	}

	return 0
}

// Waiting returns the number of the node's queues in which the session waits.
func (s *Service) Waiting(path string, session uint64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	places := 0
	if n := s.nodes[path]; n != nil {
		for _, sem := range n.semaphores {
			if i := slices.IndexFunc(sem.links, func(l *link) bool { return l.session.id == session }); i >= sem.owners {
				places++
			}
		}
	}

	return places
}

// Sessions returns the ids of the sessions that have not ended, including those of dead clients.
func (s *Service) Sessions() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []uint64
	for id := range s.sessions {
		ids = append(ids, id)
	}
	slices.Sort(ids)

	return ids
}

// Break cuts a session's client off permanently. The client's session ends immediately with the cause, and the service
// ends the session after its timeout. Break reports whether the session existed.
func (s *Service) Break(id uint64, cause error) bool {
	s.mu.Lock()
	session := s.sessions[id]
	s.mu.Unlock()
	if session == nil {
		return false
	}
	session.detach(cause)

	return true
}

// CreateNode implements coordination.Client; N1.
func (s *Service) CreateNode(ctx context.Context, path string, _ coordination.NodeConfig) error {
	return s.call(ctx, "CreateNode", func() error {
		if s.nodes[path] == nil {
			s.nodes[path] = &node{semaphores: map[string]*semaphore{}}
			s.wake()
		}

		return nil
	})
}

// DescribeNode implements coordination.Client; N4.
func (s *Service) DescribeNode(ctx context.Context, path string) (*scheme.Entry, *coordination.NodeConfig, error) {
	err := s.call(ctx, "DescribeNode", func() error {
		if s.nodes[path] == nil {
			return &StatusError{Ydb.StatusIds_SCHEME_ERROR, "Path not found"}
		}

		return nil
	})

	return &scheme.Entry{Name: path}, &coordination.NodeConfig{}, err
}

// AlterNode panics. The recipes do not call it.
func (s *Service) AlterNode(context.Context, string, coordination.NodeConfig) error {
	panic("coordtest: no AlterNode")
}

// DropNode panics. The recipes do not call it.
func (s *Service) DropNode(context.Context, string) error { panic("coordtest: no DropNode") }

// Session implements coordination.Client. It waits for the node until ctx ends.
func (s *Service) Session(
	ctx context.Context, path string, opts ...options.SessionOption,
) (coordination.Session, error) {
	var o options.CreateSessionOptions
	for _, opt := range opts {
		opt(&o)
	}
	if o.SessionTimeout <= 0 {
		return nil, fmt.Errorf("session timeout is %v", o.SessionTimeout)
	}
	s.count("Session")
	for {
		s.mu.Lock()
		changed, ready := s.changed, s.nodes[path] != nil && s.fault("Session") == nil
		if ready && ctx.Err() == nil {
			session := newSession(s, s.nodes[path], o.SessionTimeout)
			s.mu.Unlock()
			if sleep(ctx, 2*s.delay()) != nil {
				session.detach(coordination.ErrSessionClosed)

				return nil, ctx.Err()
			}

			return session, nil
		}
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// call performs a unary call. It delays the request, runs do on the service, and delays the answer.
func (s *Service) call(ctx context.Context, method string, do func() error) error {
	s.count(method)
	if err := sleep(ctx, s.delay()); err != nil {
		return err
	}
	s.mu.Lock()
	err := s.fault(method)
	if err == nil {
		err = do()
	}
	s.mu.Unlock()
	if stalled, ok := errors.AsType[Stalled](err); ok {
		<-ctx.Done()

		return cmp.Or(stalled.Last, ctx.Err())
	}
	if lost := sleep(ctx, s.delay()); lost != nil {
		return lost
	}

	return err
}

func (s *Service) count(method string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[method]++
}

func (s *Service) delay() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.travel()
}

// wake makes calls that wait for a change check again. The caller holds s.mu.
func (s *Service) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
