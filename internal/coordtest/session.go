package coordtest

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/internal/ydberr"
)

// A Session is both ends of a session. The service's mu guards its fields except ctx.
type Session struct {
	service *Service
	node    *node
	id      uint64
	timeout time.Duration
	ctx     context.Context // ends when the client gives up the session
	cancel  context.CancelCauseFunc
	up      time.Time // when the newest message to the service arrives; later messages do not overtake it
	down    time.Time // the same for messages to the client
}

// A request is an acquire that waits for the service's answer.
type request struct {
	answer   chan error // capacity 1; nil: granted
	canceled bool
}

// newSession attaches a session to the service. The caller holds the service's mu.
func newSession(s *Service, n *node, timeout time.Duration) *Session {
	s.lastID++
	session := &Session{service: s, node: n, id: s.lastID, timeout: timeout}
	session.ctx, session.cancel = context.WithCancelCause(context.Background())
	s.sessions[session.id] = session

	return session
}

// SessionID implements coordination.Session.
func (s *Session) SessionID() uint64 { return s.id }

// Context implements coordination.Session.
func (s *Session) Context() context.Context { return s.ctx }

// AcquireSemaphore implements coordination.Session. If the session ends, the call keeps waiting until ctx ends.
func (s *Session) AcquireSemaphore(
	ctx context.Context, name string, count uint64, opts ...options.AcquireSemaphoreOption,
) (coordination.Lease, error) {
	s.service.count("AcquireSemaphore")
	if s.ctx.Err() != nil {
		return nil, coordination.ErrSessionClosed
	}
	o := Ydb_Coordination.SessionRequest_AcquireSemaphore{Name: name, Count: count, TimeoutMillis: math.MaxUint64}
	for _, opt := range opts {
		opt(&o)
	}

	req := &request{answer: make(chan error, 1)}
	s.toService(func() { s.acquire(&o, req) })
	var err error
	select {
	case err = <-req.answer:
	case <-ctx.Done():
		if !s.crossed(name, req) {
			s.toService(func() { s.release(name) }) // in the background

			return nil, ctx.Err()
		}
		select {
		case err = <-req.answer:
		case <-s.ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err != nil {
		return nil, s.conceal(err)
	}
	l := &lease{session: s, name: name}
	l.ctx, l.cancel = context.WithCancelCause(s.ctx)

	return l, nil
}

// crossed reports whether the call must return a lease although its ctx has ended: Late is set and the service has
// already granted the request. Otherwise crossed cancels the request.
func (s *Session) crossed(name string, req *request) bool {
	s.service.mu.Lock()
	defer s.service.mu.Unlock()
	sem := s.node.semaphores[name]
	if i := sem.index(s); s.service.Late && i >= 0 && i < sem.owners && sem.links[i].request == req {
		return true
	}
	req.canceled = true

	return false
}

// DescribeSemaphore implements coordination.Session; S4, S5. A watch is lost when the session ends.
func (s *Session) DescribeSemaphore(
	ctx context.Context, name string, opts ...options.DescribeSemaphoreOption,
) (*coordination.SemaphoreDescription, error) {
	var o options.DescribeSemaphoreConfig
	for _, opt := range opts {
		opt(&o)
	}
	s.service.count("DescribeSemaphore")
	found := &coordination.SemaphoreDescription{}
	if err := s.ask(ctx, func() {
		if sem := s.node.semaphores[name]; sem != nil {
			found = sem.describe(name, o)
			if o.OneShotHandler != nil && !s.service.Unwatched {
				sem.watch(s, o.OneShotHandler)
			}
		}
	}); err != nil {
		return nil, err // the service may still write to found
	}

	return found, nil
}

// Close implements coordination.Session. It is abrupt. Messages that are on the way are lost, and for the service the
// session ends by its timeout.
func (s *Session) Close(context.Context) error {
	s.detach(context.Canceled)

	return nil
}

// CreateSemaphore implements coordination.Session; S1. The client drops the status of the answer, unless Reveal is set.
func (s *Session) CreateSemaphore(
	ctx context.Context, name string, limit uint64, opts ...options.CreateSemaphoreOption,
) error {
	s.service.count("CreateSemaphore")
	o := Ydb_Coordination.SessionRequest_CreateSemaphore{}
	for _, opt := range opts {
		opt(&o)
	}
	var answer error
	err := s.ask(ctx, func() {
		switch sem := s.node.semaphores[name]; {
		case s.service.fault("CreateSemaphore") != nil:
			answer = s.service.fault("CreateSemaphore")
		case sem == nil:
			s.node.semaphores[name] = &semaphore{persistent: true, limit: limit, data: o.GetData()}
		case sem.persistent:
			answer = &StatusError{Ydb.StatusIds_ALREADY_EXISTS, "Semaphore already exists"}
		default:
			answer = &StatusError{Ydb.StatusIds_PRECONDITION_FAILED, "Cannot create semaphore due to ephemeral locks"}
		}
	})
	if err == nil && s.service.Reveal {
		return answer
	}

	return err
}

// UpdateSemaphore implements coordination.Session; S2. The client drops the status of the answer, unless Reveal is set.
func (s *Session) UpdateSemaphore(ctx context.Context, name string, opts ...options.UpdateSemaphoreOption) error {
	s.service.count("UpdateSemaphore")
	o := Ydb_Coordination.SessionRequest_UpdateSemaphore{}
	for _, opt := range opts {
		opt(&o)
	}
	var answer error
	err := s.ask(ctx, func() {
		if sem := s.node.semaphores[name]; sem != nil {
			sem.data = o.GetData()
		} else {
			answer = &StatusError{Ydb.StatusIds_NOT_FOUND, "Semaphore does not exist"}
		}
	})
	if err == nil && s.service.Reveal {
		return answer
	}

	return err
}

// DeleteSemaphore panics. The recipes do not call it.
func (s *Session) DeleteSemaphore(context.Context, string, ...options.DeleteSemaphoreOption) error {
	panic("coordtest: no DeleteSemaphore")
}

// Reconnect panics. The recipes do not call it.
func (s *Session) Reconnect() { panic("coordtest: no Reconnect") }

// A lease is a semaphore that the session owns.
type lease struct {
	session *Session
	name    string
	ctx     context.Context
	cancel  context.CancelCauseFunc
}

func (l *lease) Context() context.Context      { return l.ctx }
func (l *lease) Session() coordination.Session { return l.session }

// Release ends the lease's context only when the service has answered, or when the session ends.
func (l *lease) Release() error {
	err := l.session.ask(context.Background(), func() { l.session.release(l.name) })
	if err == nil {
		l.cancel(context.Canceled)
	}

	return err
}

// ask runs do on the service and returns when the client has the answer, when ctx ends, or when the session ends.
func (s *Session) ask(ctx context.Context, do func()) error {
	if s.ctx.Err() != nil {
		return coordination.ErrSessionClosed
	}
	done := make(chan struct{})
	s.toService(func() {
		do()
		s.toClient(func() { close(done) })
	})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.ctx.Done():
		return context.Canceled
	}
}

// conceal drops the status of an answer, unless Reveal is set.
func (s *Session) conceal(err error) error {
	if errors.Is(err, errTaken) && s.service.Reveal {
		return ydberr.ErrNotAcquired
	}
	if _, ok := errors.AsType[*StatusError](err); ok && !s.service.Reveal {
		return coordination.ErrAcquireTimeout
	}

	return err
}

// toService sends a message to the service. When it arrives, do runs with the service's mu held. The message is lost if
// the session ends first.
func (s *Session) toService(do func()) {
	s.service.mu.Lock()
	defer s.service.mu.Unlock()
	s.up = s.deliver(s.up, do)
}

// toClient sends a message to the client. When it arrives, do runs with the service's mu held. The message is lost if
// the session ends first. The caller holds the service's mu.
func (s *Session) toClient(do func()) { s.down = s.deliver(s.down, do) }

// deliver runs do after a delay and later than before, when the previous message arrives. It returns the time.
func (s *Session) deliver(before time.Time, do func()) time.Time {
	at := time.Now().Add(s.service.travel())
	if !at.After(before) {
		at = before.Add(1)
	}
	time.AfterFunc(time.Until(at), func() {
		s.service.mu.Lock()
		defer s.service.mu.Unlock()
		if s.ctx.Err() == nil {
			do()
		}
	})

	return at
}

// errTaken is the answer that the semaphore was not acquired, with the status SUCCESS.
var errTaken = &StatusError{Ydb.StatusIds_SUCCESS, "not acquired"}

// answer sends the service's answer to a request. The client ignores the answer to a cancelled request, because it has
// sent a release.
func (s *Session) answer(req *request, err error) {
	s.toClient(func() {
		if !req.canceled {
			select {
			case req.answer <- err:
			default: // the request was superseded after its answer
			}
		}
	})
}

// detach ends the session for the client immediately, and for the service after the timeout; A10, A12.
func (s *Session) detach(cause error) {
	s.service.mu.Lock()
	defer s.service.mu.Unlock()
	if s.ctx.Err() != nil {
		return
	}
	s.cancel(cause)
	for _, sem := range s.node.semaphores {
		sem.watch(s, nil)
	}
	time.AfterFunc(s.timeout, func() {
		s.service.mu.Lock()
		defer s.service.mu.Unlock()
		delete(s.service.sessions, s.id)
		var names []string
		for name := range s.node.semaphores {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			s.release(name)
		}
	})
}
