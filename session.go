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

	"tenure/internal/clientconfig"
	"tenure/internal/clock"
	"tenure/internal/embedded"
	"tenure/internal/flight"
	"tenure/internal/nocontext"
	"tenure/internal/session"
)

// Session is a session on a coordination node. It implements [coordination.Session], which describes how to use
// sessions. [Client.Session] opens one. Its methods are safe for concurrent use.
//
// A session has one queue and one lease for each semaphore, whichever goroutine asks for it. So goroutines that must
// exclude each other need a session each, as package lock gives them.
//
// When the session has ended, its methods return errors that wrap [ErrSessionClosed], and also the cause of the end of
// its context if that is another error. If ctx ends first, they return errors that wrap the error of ctx, and the
// server may have processed the request nevertheless.
type Session struct {
	// A Session is the shell of a session.Core. Each event locks mu, calls the core, and performs the actions that the
	// core returns. None of this blocks, so neither the user's code nor the network can delay the deadline.

	client *Client
	path   string
	key    []byte
	config session.Config
	base   context.Context // never ends; holds values for streams and for users of leases, such as the clock

	ctx    context.Context // ends with the session
	cancel context.CancelCauseFunc

	deadline atomic.Int64 // the clock.Instant until which the session is certain to be alive; 0 if it is not

	unused atomic.Pointer[pending] // for a later call; no other goroutine refers to it, and its channel is empty

	mu      sync.Mutex // guards core to attached, but not the channel of timer
	core    *session.Core
	fx      session.Effects // of the call of core in progress; otherwise only memory
	stream  *stream         // the current stream, or nil
	queued  bool            // the call of core in progress has queued a message
	silent  *stream         // the last stream, if it was dropped because the server did not answer on it
	wakeAt  clock.Instant
	timer   clock.Timer   // fires at wakeAt, or earlier
	lost    error         // why the last stream, or the session, has ended
	renewed chan struct{} // closed when the deadline moves or a lease ends; nil unless somebody waits for that
	turned  chan struct{} // closed when refused changes; nil unless somebody waits for that
	refused bool          // the server refuses to continue the session

	lastDeadline clock.Instant // the last deadline that was not 0
	attached     clock.Instant // when the newest attach was answered
	journal      *journal

	lifeline  *embedded.Lifeline // nil unless the server is the embedded one
	dismissed chan struct{}      // closed by dismiss
	dismiss   func()             // records that no code works under the session any longer

	started chan struct{}  // closed by the first Started
	closed  chan struct{}  // closed by Closed
	closing session.Closed // set before closed is closed
	running sync.WaitGroup

	ending     bool // the Session only ends a session on the server: see newEnding
	left, idle bool // guarded by mu: see endLater

	timeout     time.Duration
	stopTimeout time.Duration
	linger      sync.Once // starts abortLater
}

var _ coordination.Session = (*Session)(nil)

func newSession(ctx context.Context, c *Client, cfg session.Config) *Session {
	s := &Session{
		client: c, path: cfg.Path, key: cfg.Key, config: cfg,
		core:  session.New(cfg),
		timer: c.clock.NewTimer(), started: make(chan struct{}), closed: make(chan struct{}),
		timeout: cfg.Timeout, stopTimeout: cfg.StopTimeout, dismissed: make(chan struct{}),
	}
	s.dismiss = sync.OnceFunc(func() {
		close(s.dismissed)
		s.endLater(&s.idle)
	})
	s.base = clientconfig.NewContext(clock.NewContext(context.WithoutCancel(ctx), c.clock), probe{s})
	s.ctx, s.cancel = context.WithCancelCause(s.base)

	return s
}

// start starts the session. It does not block. It must be called once, before any other goroutine uses the session.
func (s *Session) start() {
	s.journal = newJournal(s.client.log)
	s.running.Go(s.tick)
	s.do(s.core.Start)
}

// awaitStart waits until the server has created the session. If that fails, or if ctx ends, it ends the session and
// returns an error.
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
		s.abort() // if the server has just created the session, it expires there
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
	case errors.Is(why, ErrSessionExpired): // the session never started, so leave out that it has expired
		return fmt.Errorf("open session on node %q: %w", s.path, plain(s.lost))
	case refused:
		return fmt.Errorf("open session on node %q: %w: the last attempt: %w", s.path, why,
			newStatusError("attach to node", s.path, refusal))
	default:
		return fmt.Errorf("open session on node %q: %w: the last attempt: %w", s.path, why, plain(s.lost))
	}
}

// lastAttempt returns why the newest attempt to open the session has failed, or nil if none has failed.
func (s *Session) lastAttempt() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if refusal, refused := errors.AsType[*session.StatusError](s.lost); refused {
		return newStatusError("open session on node", s.path, refusal)
	}

	return s.lost
}

// do calls a method of the core, performs the actions that it returns, and sends the messages.
func (s *Session) do(f func(clock.Instant, *session.Effects)) {
	if st := s.apply(f); st != nil {
		st.flush()
	}
}

// apply is do, except that the messages are only queued. It returns the stream to flush, or nil.
func (s *Session) apply(f func(clock.Instant, *session.Effects)) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()

	fx := &s.fx
	now := s.client.clock.Now()
	f(now, fx)
	defer fx.Reset()
	s.queued = false
	if refused := s.core.Refusal() != nil; refused != s.refused {
		s.turn(refused)
	}
	deadline := s.core.Deadline()
	if moved := s.deadline.Swap(int64(deadline)) != int64(deadline); moved {
		s.renew()
	}
	for _, a := range fx.Actions {
		s.perform(now, a)
		s.note(now, a)
	}
	if deadline != 0 {
		s.lastDeadline = deadline
	}
	if sooner := fx.Wake != 0 && (s.wakeAt == 0 || fx.Wake < s.wakeAt); sooner {
		s.timer.Set(now, fx.Wake)
	}
	s.wakeAt = fx.Wake
	if s.queued {
		return s.stream
	}

	return nil
}

// perform performs an action of the core. It does not block. The caller holds mu.
func (s *Session) perform(now clock.Instant, a session.Action) {
	switch a := a.(type) {
	case session.Open:
		s.stream = s.open(a.Stream)
	case *session.Send:
		if a.Message.GetDescribeSemaphore() != nil { // every session sends several within each timeout
			s.client.unanswered()
		}
		s.stream.send(a.Message)
		s.queued = true
	case session.Drop:
		why := context.Canceled
		s.silent = nil
		if a.Silent {
			why, s.silent = context.DeadlineExceeded, s.stream
			s.client.unanswered()
		}
		s.stream.ctx.end(why)
		s.stream = nil
	case session.Started:
		s.attached = now
		s.client.attaching.answer(now)
		if !a.Again {
			close(s.started)
		}
	case session.Lost:
		s.lost = a.Cause
	case *session.Finished:
		a.Call.Owner.(*pending).finish(s, *a)
	case *session.EndLease:
		s.leaseOf(a.Lease).end(cause(s.path, a.Cause))
		s.renew()
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
		s.closing = a
		close(s.closed)
	}
}

// renew wakes those who wait for a renewal. The caller holds mu.
func (s *Session) renew() {
	if s.renewed != nil {
		close(s.renewed)
		s.renewed = nil
	}
}

// turn wakes those who wait for RefusalChanged. The caller holds mu.
func (s *Session) turn(refused bool) {
	s.refused = refused
	if s.turned != nil {
		close(s.turned)
		s.turned = nil
	}
}

// nextRenewal returns a channel that the next call of renew closes, or a closed channel if the lease has ended.
func (s *Session) nextRenewal(l *Lease) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.over() {
		return l.context().Done()
	}
	if s.renewed == nil {
		s.renewed = make(chan struct{})
	}

	return s.renewed
}

// tick calls the core each time that the timer fires. It returns when the session has ended and its lifeline is no
// longer needed.
func (s *Session) tick() {
	defer s.giveUp()
	for {
		select {
		case <-s.timer.C():
			st := s.apply(func(now clock.Instant, fx *session.Effects) {
				s.core.Heard(s.client.attaching.answered())
				s.core.Tick(now, fx)
			})
			if st != nil {
				st.flushLater() // nothing may delay the deadline, not even the user's code that gRPC calls
			}
			s.setTimer()
		case <-s.closed:
			s.mu.Lock()
			s.timer.Stop()
			s.mu.Unlock()

			return
		}
	}
}

// giveUp removes a session that has ended from the client. If the server may still have the session, endLater ends it,
// unless the cut lifeline does that.
func (s *Session) giveUp() {
	id := s.SessionID()
	switch {
	case s.closing.Left && id != 0 && !s.ending:
		s.client.remember(s, id)
	case s.ending && ended(s.closing.Cause):
		s.client.forget(s.path, id)
	}
	cut := s.endLifeline()
	if s.closing.Left && !cut {
		s.endLater(&s.left)
	}
	s.client.remove(s)
}

// setTimer sets the timer again after it has fired.
func (s *Session) setTimer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wakeAt != 0 {
		s.timer.Set(s.client.clock.Now(), s.wakeAt)
	} else {
		s.timer.Stop()
	}
}

// Close ends the session. It ends the contexts of the session and of its leases immediately. Then it ends the session
// on the server, so that waiters get the session's locks without waiting for it to expire. Call Close when no code
// works under the session any longer, also if the session was lost.
//
// Close returns nil once the server has answered, or once the deadline of the session has passed. If the session was
// lost, Close returns immediately. If ctx ends first, Close returns the error of ctx. If the server has not answered,
// it may still have the session, also after a restart. The client then ends the session in the background, as soon as
// the server answers or until the client is closed. Calling Close again is safe.
func (s *Session) Close(ctx context.Context) error {
	ctx = nocontext.Or(ctx)
	s.do(s.core.Close)
	s.dismiss()
	select {
	case <-s.closed: // return nil even if ctx has ended
		s.awaitEnd(ctx)

		return nil
	default:
	}
	select {
	case <-s.closed:
		s.awaitEnd(ctx)

		return nil
	case <-ctx.Done():
		s.linger.Do(func() { s.running.Go(s.abortLater) })

		return fmt.Errorf("close session on node %q: %w", s.path, ctx.Err())
	}
}

// awaitEnd waits for the goroutines of a closed session and, until ctx ends, for its log.
func (s *Session) awaitEnd(ctx context.Context) {
	s.running.Wait()
	s.journal.await(ctx)
}

// abortLater aborts the session if it has not ended within the stop timeout. Then endLater takes over.
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

// abort ends the session without asking the server, and waits until all goroutines of the session have ended.
func (s *Session) abort() {
	s.do(s.core.Abort)
	s.dismiss()
	s.running.Wait()
}

// Context returns a context that ends when the session ends. Its cause, which [context.Cause] returns, is or wraps one
// of the errors of this package, such as [ErrDeadlinePassed].
func (s *Session) Context() context.Context { return s.ctx }

// SessionID returns the id that the server has given the session. It is never 0.
func (s *Session) SessionID() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.core.ID()
}

// Reconnect closes the stream of the session and opens another one. It is intended for tests.
func (s *Session) Reconnect() { s.do(s.core.Reconnect) }

// alive reports whether the session is certain to be alive now.
func (s *Session) alive() bool { return s.client.clock.Now() < clock.Instant(s.deadline.Load()) }

// CreateSemaphore creates a persistent semaphore with the limit, which must be greater than 0. If the request was sent
// and its answer is lost, the outcome is unknown, and the error wraps [coordination.ErrOperationStatusUnknown].
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

// UpdateSemaphore sets the data of a semaphore. If the answer is lost, the client repeats the request until the server
// answers. If the session ends first, the outcome is unknown, and the error wraps
// [coordination.ErrOperationStatusUnknown].
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

// DeleteSemaphore deletes a persistent semaphore. If the request was sent and its answer is lost, the outcome is
// unknown, and the error wraps [coordination.ErrOperationStatusUnknown].
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

// AcquireSemaphore acquires count units of a semaphore. If they are not available, it waits in the semaphore's queue
// until they are, or until the time set by [options.WithAcquireTimeout] has passed. That time counts in whole
// milliseconds and must not be negative. With 0, AcquireSemaphore does not wait. By default it waits without limit. If
// ctx ends, the session gives up its place in the queue. The end of ctx has no effect on the returned lease, which
// is a [*Lease].
//
// The count must be at least 1 and at most the limit of the semaphore, which must exist. With [options.WithEphemeral],
// the semaphore exists while a session owns it or waits for it, and has the largest limit: coordination.Exclusive
// takes all of it, and coordination.Shared one unit.
//
// A session has at most one lease of each semaphore, and at most one place in its queue:
//
//   - If the session already owns the semaphore, AcquireSemaphore can lower the count and replace the data, but not
//     raise the count. It returns the existing lease, which the first Release ends for all.
//   - If the session is already waiting for the semaphore, the new acquire replaces the earlier one and keeps its place
//     in the queue. Its count must not be higher. The earlier acquire fails with a [*StatusError] whose status is
//     ABORTED.
//
// If the server refuses the request, the error is a [*StatusError]. If the acquire times out, the error wraps
// [coordination.ErrAcquireTimeout].
func (s *Session) AcquireSemaphore(
	ctx context.Context, name string, count uint64, opts ...options.AcquireSemaphoreOption,
) (coordination.Lease, error) {
	m := &pb.SessionRequest_AcquireSemaphore{Name: name, Count: count, TimeoutMillis: math.MaxUint64}
	for _, opt := range opts {
		if opt != nil {
			opt(m)
		}
	}
	const op = "acquire semaphore"
	var f session.Finished
	var err error
	if look := flight.From(ctx); look != nil {
		f, err = s.acquireAndLook(ctx, op, name, session.NewAcquire(m), look)
	} else {
		f, err = s.call(ctx, op, name, session.NewAcquire(m))
	}
	if err != nil {
		return nil, err
	}

	return f.Lease.Owner.(*Lease), nil
}
