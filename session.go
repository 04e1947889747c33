package tenure

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/internal/clock"
	"tenure/internal/embedded"
	"tenure/internal/session"
)

// Session is a session of a node; see [coordination.Session] for its contract. Its methods may be called from several
// goroutines.
//
// It is the shell of a [session.Core]: every event takes the lock, asks the core, and does what that says, none of
// which blocks. So neither a user nor the network can hold up the deadline.
type Session struct {
	client *Client
	path   string
	base   context.Context // values for the streams and for the users of leases, such as the clock

	ctx    context.Context // ends with the session
	cancel context.CancelCauseFunc

	deadline atomic.Int64 // a clock.Instant: until when the session is surely alive; 0: it is not

	mu      sync.Mutex // guards core, streams, silent, wakeAt, timer (but not the receive from it), lost, lastDeadline
	core    *session.Core
	streams map[session.StreamID]*stream
	silent  *stream // the last one, if it was left for its silence
	wakeAt  clock.Instant
	timer   clock.Timer // rings at wakeAt, or earlier
	lost    error       // why the last stream ended, or the session did

	lastDeadline clock.Instant // the last one that was not 0
	journal      *journal

	lifeline  *embedded.Lifeline // nil: the server is not the embedded one
	dismissed chan struct{}      // closed by dismiss
	dismiss   func()             // says that nobody works under the session any more

	started chan struct{} // closed by the first Started
	closed  chan struct{} // closed by Closed
	gone    bool          // set before that: the server has no such session any more
	running sync.WaitGroup

	timeout     time.Duration
	stopTimeout time.Duration
	linger      sync.Once // starts abortLater
}

var _ coordination.Session = (*Session)(nil)

func newSession(ctx context.Context, c *Client, cfg session.Config) *Session {
	s := &Session{
		client: c, path: cfg.Path, base: clock.NewContext(context.WithoutCancel(ctx), c.clock),
		core: session.New(cfg), streams: make(map[session.StreamID]*stream),
		timer: c.clock.NewTimer(), started: make(chan struct{}), closed: make(chan struct{}),
		timeout: cfg.Timeout, stopTimeout: cfg.StopTimeout, dismissed: make(chan struct{}),
	}
	s.dismiss = sync.OnceFunc(func() { close(s.dismissed) })
	s.ctx, s.cancel = context.WithCancelCause(s.base)

	return s
}

// start is called once, before anybody else knows the session. It does not block.
func (s *Session) start() {
	s.journal = newJournal(s.client.log)
	s.running.Go(s.tick)
	s.do(s.core.Start)
}

// awaitStart returns when the server has made the session.
func (s *Session) awaitStart(ctx context.Context) error {
	var why error
	select {
	case <-s.started:
		return nil
	case <-s.closed:
		s.dismiss()
		s.running.Wait()
		why = context.Cause(s.ctx)
	case <-ctx.Done():
		s.abort() // if the server has just made the session, that ends by its timeout
		why = ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	refusal, refused := errors.AsType[*session.StatusError](s.lost)
	switch {
	case s.lost == nil, errors.Is(why, ErrSessionClosed):
		return fmt.Errorf("open session on node %q: %w", s.path, why)
	case errors.Is(why, ErrSessionExpired) && refused:
		return newStatusError("open session on node", s.path, refusal)
	case errors.Is(why, ErrSessionExpired): // there was none that could expire
		return fmt.Errorf("open session on node %q: %w", s.path, s.lost)
	case refused:
		return fmt.Errorf("open session on node %q: %w: the last attempt: %w", s.path, why,
			newStatusError("attach to node", s.path, refusal))
	default:
		return fmt.Errorf("open session on node %q: %w: the last attempt: %w", s.path, why, s.lost)
	}
}

// do lets the core deal with something, and does what it says.
func (s *Session) do(f func(clock.Instant, *session.Effects)) {
	s.mu.Lock()
	defer s.mu.Unlock()

	var fx session.Effects
	now := s.client.clock.Now()
	f(now, &fx)
	deadline := s.core.Deadline()
	s.deadline.Store(int64(deadline))
	for _, a := range fx.Actions {
		s.perform(a)
		s.note(now, a)
	}
	if deadline != 0 {
		s.lastDeadline = deadline
	}
	if sooner := fx.Wake != 0 && (s.wakeAt == 0 || fx.Wake < s.wakeAt); sooner {
		s.timer.Set(now, fx.Wake)
	}
	s.wakeAt = fx.Wake
}

// perform does one thing that the core says. It is called with mu held and does not block.
func (s *Session) perform(a session.Action) {
	switch a := a.(type) {
	case session.Open:
		s.streams[a.Stream] = s.open(a.Stream)
	case session.Send:
		if a.Message.GetDescribeSemaphore() != nil { // each session sends some in every timeout
			s.client.unanswered()
		}
		s.streams[a.Stream].send(a.Message)
	case session.Drop:
		why := context.Canceled
		s.silent = nil
		if a.Silent {
			why, s.silent = context.DeadlineExceeded, s.streams[a.Stream]
			s.client.unanswered()
		}
		s.streams[a.Stream].ctx.end(why)
		delete(s.streams, a.Stream)
	case session.Started:
		if !a.Again {
			close(s.started)
		}
	case session.Lost:
		s.lost = a.Cause
	case session.Finished:
		a.Call.Owner.(*pending).finish(s, a)
	case session.EndLease:
		s.leaseOf(a.Lease).cancel(cause(s.path, a.Cause))
	case session.Fire:
		go a.Watch.Owner.(func(options.SemaphoreWatchEvent))(options.SemaphoreWatchEvent{
			DataChanged: a.DataChanged, OwnersChanged: a.OwnersChanged, Lost: !a.DataChanged && !a.OwnersChanged,
		})
	case session.Over:
		why := cause(s.path, a.Cause)
		if !errors.Is(why, ErrSessionClosed) {
			s.lost = a.Cause
		}
		s.cancel(why)
	case session.Closed:
		_, s.gone = errors.AsType[*session.StatusError](a.Cause)
		close(s.closed)
	}
}

// tick wakes the core when something is due. It returns when the session is closed, and its lifeline no longer needed.
func (s *Session) tick() {
	defer s.client.remove(s)
	defer s.endLifeline()
	for {
		select {
		case <-s.timer.C():
			s.do(s.core.Tick)
			s.setTimer()
		case <-s.closed:
			s.mu.Lock()
			defer s.mu.Unlock()
			s.timer.Stop()

			return
		}
	}
}

// setTimer sets the timer again after it has rung.
func (s *Session) setTimer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wakeAt != 0 {
		s.timer.Set(s.client.clock.Now(), s.wakeAt)
	} else {
		s.timer.Stop()
	}
}

// Close ends the session: its context and leases at once, then on the server, so that others need not wait. It returns
// when the server has answered, when the session can't be alive there any more, or when ctx ends, which is then the
// error; the server is still told, if that takes no longer than a stop may. Twice is fine.
func (s *Session) Close(ctx context.Context) error {
	s.do(s.core.Close)
	s.dismiss()
	select {
	case <-s.closed: // even if ctx has ended
		s.running.Wait()

		return nil
	default:
	}
	select {
	case <-s.closed:
		s.running.Wait()
		s.journal.await(ctx)

		return nil
	case <-ctx.Done():
		s.linger.Do(func() { s.running.Go(s.abortLater) })

		return fmt.Errorf("close session on node %q: %w", s.path, ctx.Err())
	}
}

// abortLater gives a stop the time that it may take.
func (s *Session) abortLater() {
	clk := s.client.clock
	timer := clk.NewTimer()
	defer timer.Stop()
	now := clk.Now()
	timer.Set(now, now.Add(s.stopTimeout))
	select {
	case <-timer.C():
		s.do(s.core.Abort)
	case <-s.closed:
	}
}

// abort ends the session without the server, and returns when no goroutine of it is left.
func (s *Session) abort() {
	s.do(s.core.Abort)
	s.dismiss()
	s.running.Wait()
}

// Context ends with the session; its cause is one of the errors of this package.
func (s *Session) Context() context.Context { return s.ctx }

// SessionID returns the session's id, which is never 0.
func (s *Session) SessionID() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.core.ID()
}

// Reconnect cuts the stream and opens another; for tests.
func (s *Session) Reconnect() { s.do(s.core.Reconnect) }

// probe is how tenuretest looks at a session.
type probe struct{ *Session }

// Apart implements clientconfig.Session.
func (p probe) Apart() bool {
	p.mu.Lock()
	defer p.mu.Unlock()

	return p.core.Apart()
}

// alive reports whether the session is surely alive now.
func (s *Session) alive() bool { return s.client.clock.Now() < clock.Instant(s.deadline.Load()) }

// pending is a call that somebody waits for.
type pending struct {
	done     chan struct{} // closed when the rest is set
	finished session.Finished
}

func (p *pending) finish(s *Session, f session.Finished) {
	if f.Lease != nil {
		s.leaseOf(f.Lease)
	}
	p.finished = f
	close(p.done)
}

// call makes a call and waits for its end. Errors are those of this package, with the operation and the name in them.
func (s *Session) call(ctx context.Context, op, name string, c *session.Call) (session.Finished, error) {
	if err := ctx.Err(); err != nil {
		return session.Finished{}, fmt.Errorf("%s %q: %w", op, name, err)
	}
	if err := checkRequest(op, name, c.Message()); err != nil {
		return session.Finished{}, err
	}
	p := &pending{done: make(chan struct{})}
	c.Owner = p
	s.do(func(now clock.Instant, fx *session.Effects) { s.core.Begin(now, c, fx) })
	select {
	case <-p.done:
	case <-ctx.Done():
		s.do(func(now clock.Instant, fx *session.Effects) { s.core.Cancel(now, c, fx) })
		select {
		case <-p.done: // it was faster
		default:
			return session.Finished{}, fmt.Errorf("%s %q: %w", op, name, ctx.Err())
		}
	}

	return p.finished, s.callError(op, name, p.finished.Err)
}

func (s *Session) callError(op, name string, err error) error {
	over := context.Cause(s.ctx) // nil: it is not
	refusal, refused := errors.AsType[*session.StatusError](err)
	switch {
	case err == nil:
		return nil
	case refused:
		return newStatusError(op, name, refusal)
	case errors.Is(err, session.ErrNotAcquired):
		return fmt.Errorf("%s %q: %w", op, name, coordination.ErrAcquireTimeout)
	case errors.Is(err, session.ErrAnswer):
		return fmt.Errorf("%s %q: %w", op, name, err)
	case errors.Is(err, session.ErrUnknown) && over != nil:
		return fmt.Errorf("%s %q: %w: %w", op, name, coordination.ErrOperationStatusUnknown, over)
	case errors.Is(err, session.ErrUnknown):
		return fmt.Errorf("%s %q: %w", op, name, coordination.ErrOperationStatusUnknown)
	case errors.Is(over, ErrSessionClosed):
		return fmt.Errorf("%s %q: %w", op, name, over)
	default:
		return fmt.Errorf("%s %q: %w: %w", op, name, ErrSessionClosed, over)
	}
}

// CreateSemaphore makes a persistent semaphore (S1). If the answer gets lost, the error is
// coordination.ErrOperationStatusUnknown.
func (s *Session) CreateSemaphore(
	ctx context.Context, name string, limit uint64, opts ...options.CreateSemaphoreOption,
) error {
	m := &pb.SessionRequest_CreateSemaphore{Name: name, Limit: limit}
	for _, opt := range opts {
		if opt != nil {
			opt(m)
		}
	}
	_, err := s.call(ctx, "create semaphore", name, session.NewCreate(m))

	return err
}

// UpdateSemaphore sets a semaphore's data (S2). It is repeated until it is answered.
func (s *Session) UpdateSemaphore(ctx context.Context, name string, opts ...options.UpdateSemaphoreOption) error {
	m := &pb.SessionRequest_UpdateSemaphore{Name: name}
	for _, opt := range opts {
		if opt != nil {
			opt(m)
		}
	}
	_, err := s.call(ctx, "update semaphore", name, session.NewUpdate(m))

	return err
}

// DeleteSemaphore removes a persistent semaphore (S3). If the answer gets lost, the error is
// coordination.ErrOperationStatusUnknown.
func (s *Session) DeleteSemaphore(ctx context.Context, name string, opts ...options.DeleteSemaphoreOption) error {
	m := &pb.SessionRequest_DeleteSemaphore{Name: name}
	for _, opt := range opts {
		if opt != nil {
			opt(m)
		}
	}
	_, err := s.call(ctx, "delete semaphore", name, session.NewDelete(m))

	return err
}

// AcquireSemaphore takes count of a semaphore, or waits for it (Q5). A later acquire of the same name overrides an
// earlier one that waits, which then returns ABORTED (Q7); when the session owns it, it can only give back some of it,
// and the lease is the one that there was (Q6). When ctx ends, the place in the queue is given up. A refusal is a
// [*StatusError]; coordination.ErrAcquireTimeout says that it could not be had in time.
func (s *Session) AcquireSemaphore(
	ctx context.Context, name string, count uint64, opts ...options.AcquireSemaphoreOption,
) (coordination.Lease, error) {
	m := &pb.SessionRequest_AcquireSemaphore{Name: name, Count: count, TimeoutMillis: math.MaxUint64}
	for _, opt := range opts {
		if opt != nil {
			opt(m)
		}
	}
	f, err := s.call(ctx, "acquire semaphore", name, session.NewAcquire(m))
	if err != nil {
		return nil, err
	}

	return f.Lease.Owner.(*Lease), nil
}
