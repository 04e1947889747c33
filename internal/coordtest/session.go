package coordtest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"
)

// A Session is both ends of a session. Its fields but ctx are guarded by the service's mu.
type Session struct {
	service *Service
	node    *node
	id      uint64
	timeout time.Duration
	ctx     context.Context // the client's belief in the session
	cancel  context.CancelCauseFunc
	up      time.Time // when the newest message from the client arrives; later ones do not overtake it
	down    time.Time // the same, to the client
}

// A request waits for an answer of the service.
type request struct {
	answer   chan error // capacity 1; nil: granted, done
	canceled bool
}

// newSession attaches a session to the service, whose mu is held.
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

// AcquireSemaphore implements coordination.Session. When the session ends, it goes on waiting for ctx.
func (s *Session) AcquireSemaphore(
	ctx context.Context, name string, count uint64, opts ...options.AcquireSemaphoreOption,
) (coordination.Lease, error) {
	s.service.count("AcquireSemaphore")
	if s.ctx.Err() != nil {
		return nil, coordination.ErrSessionClosed
	}
	var o Ydb_Coordination.SessionRequest_AcquireSemaphore
	for _, opt := range opts {
		opt(&o)
	}
	if count != coordination.Exclusive || !o.GetEphemeral() {
		panic("coordtest: only exclusive acquires of ephemeral semaphores")
	}

	req := &request{answer: make(chan error, 1)}
	s.toService(func() { s.acquire(name, req) })
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

// crossed reports whether a grant crosses the end of its request's ctx and is to be returned; else the request is given
// up.
func (s *Session) crossed(name string, req *request) bool {
	s.service.mu.Lock()
	defer s.service.mu.Unlock()
	sem := s.node.semaphores[name]
	if s.service.Late && sem != nil && sem.index(s) == 0 && sem.links[0].request == req {
		return true
	}
	req.canceled = true

	return false
}

// DescribeSemaphore implements coordination.Session, as far as name and kind go.
func (s *Session) DescribeSemaphore(
	ctx context.Context, name string, _ ...options.DescribeSemaphoreOption,
) (*coordination.SemaphoreDescription, error) {
	found := &coordination.SemaphoreDescription{}
	err := s.ask(ctx, func() {
		if sem := s.node.semaphores[name]; sem != nil {
			found = &coordination.SemaphoreDescription{Name: name, Ephemeral: !sem.persistent}
		}
	})

	return found, err
}

// Close implements coordination.Session. It is abrupt: what the client has just sent is lost, and the service does not
// learn of it but by the timeout.
func (s *Session) Close(context.Context) error {
	s.detach(context.Canceled)

	return nil
}

// CreateSemaphore is not needed by recipes.
func (s *Session) CreateSemaphore(context.Context, string, uint64, ...options.CreateSemaphoreOption) error {
	panic("coordtest: no CreateSemaphore")
}

// UpdateSemaphore is not needed by recipes.
func (s *Session) UpdateSemaphore(context.Context, string, ...options.UpdateSemaphoreOption) error {
	panic("coordtest: no UpdateSemaphore")
}

// DeleteSemaphore is not needed by recipes.
func (s *Session) DeleteSemaphore(context.Context, string, ...options.DeleteSemaphoreOption) error {
	panic("coordtest: no DeleteSemaphore")
}

// Reconnect is not needed by recipes.
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

// Release ends the lease's context only when the service has answered, or with the session.
func (l *lease) Release() error {
	err := l.session.ask(context.Background(), func() { l.session.release(l.name) })
	if err == nil {
		l.cancel(context.Canceled)
	}

	return err
}

// ask has the service do something and waits for its answer, for ctx, or for the end of the session.
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

// conceal drops the status of an answer, unless the service reveals them.
func (s *Session) conceal(err error) error {
	if _, ok := errors.AsType[*StatusError](err); ok && !s.service.Reveal {
		return coordination.ErrAcquireTimeout
	}

	return err
}

// toService has do called on the service, with its mu held, when the message has arrived; if it does.
func (s *Session) toService(do func()) {
	s.service.mu.Lock()
	defer s.service.mu.Unlock()
	s.up = s.deliver(s.up, do)
}

// toClient has do called on the client when the answer has arrived; if it does. The service's mu is held, here and
// while do runs.
func (s *Session) toClient(do func()) { s.down = s.deliver(s.down, do) }

// deliver has do called after a delay, behind the message before; it returns when.
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

// acquire is the service's part; Q3, Q5, Q6, Q7.
func (s *Session) acquire(name string, req *request) {
	if err := s.service.fault("AcquireSemaphore"); err != nil {
		s.answer(req, err)

		return
	}
	sem := s.node.semaphores[name]
	if sem == nil {
		sem = &semaphore{}
		s.node.semaphores[name] = sem
	}
	if sem.persistent {
		s.answer(req, &StatusError{Ydb.StatusIds_PRECONDITION_FAILED, "Semaphore ephemeral mode mismatch"})

		return
	}
	switch i := sem.index(s); i {
	case -1:
		sem.links = append(sem.links, &link{session: s, request: req})
		if len(sem.links) == 1 {
			s.answer(req, nil)
		}
	case 0:
		s.answer(req, nil)
	default:
		s.answer(sem.links[i].request, errSuperseded)
		sem.links[i].request = req
	}
}

var errSuperseded = &StatusError{Ydb.StatusIds_ABORTED, "Operation superseded by another request"}

// release is the service's part; Q8, Q9, Q11.
func (s *Session) release(name string) {
	sem := s.node.semaphores[name]
	if sem == nil {
		return
	}
	i := sem.index(s)
	if i < 0 {
		return
	}
	if i > 0 {
		s.answer(sem.links[i].request, errSuperseded)
	}
	sem.links = slices.Delete(sem.links, i, i+1)
	switch {
	case len(sem.links) == 0 && !sem.persistent:
		delete(s.node.semaphores, name)
	case len(sem.links) > 0 && i == 0:
		sem.links[0].session.answer(sem.links[0].request, nil)
	}
}

// index returns the place of the session's link, or -1.
func (sem *semaphore) index(s *Session) int {
	return slices.IndexFunc(sem.links, func(l *link) bool { return l.session == s })
}

// answer is how the service answers a request. The client drops an answer to what it has given up: its release is on
// the way.
func (s *Session) answer(req *request, err error) {
	s.toClient(func() {
		if !req.canceled {
			select {
			case req.answer <- err:
			default: // superseded after the answer
			}
		}
	})
}

// detach ends the client's belief in the session, and has the service end it after the timeout; A10, A12.
func (s *Session) detach(cause error) {
	s.service.mu.Lock()
	defer s.service.mu.Unlock()
	if s.ctx.Err() != nil {
		return
	}
	s.cancel(cause)
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
