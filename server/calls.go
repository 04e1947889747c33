package server

import (
	"container/list"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"tenure/internal/clock"
	"tenure/internal/conns"
	"tenure/internal/node"
	"tenure/internal/printable"
	"tenure/internal/quota"
)

// call is a call from the moment when its headers have arrived. It is also the context of the call, because it knows
// when the values of that are not needed any more.
type call struct {
	done   <-chan struct{}    // of the context
	conn   *conns.Conn        // nil: the connection has no limits
	cancel context.CancelFunc // nil: the call is that of a session, and has an ender

	waiting *waiting      // contains the call until its first message has arrived
	place   *list.Element // guarded by waiting; nil: not there

	mu    sync.Mutex  // guards the rest
	alarm clock.Timer // rings when the first message should have arrived; nil: it has
	ender ender       // nil: the call has no goroutine yet
	ended bool

	values sync.Mutex      // guards inner; not mu, because gRPC looks for values in functions that are called with mu
	inner  context.Context //nolint:containedctx // the context without the call; nil: forgotten
}

type callKey struct{}

// callOf returns the call of a context that admit has returned, or nil.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)

	return c
}

// Deadline implements context.Context.
func (c *call) Deadline() (deadline time.Time, ok bool) {
	if ctx := c.context(); ctx != nil {
		return ctx.Deadline()
	}

	return time.Time{}, false
}

// Done implements context.Context.
func (c *call) Done() <-chan struct{} { return c.done }

// Err implements context.Context.
func (c *call) Err() error {
	if ctx := c.context(); ctx != nil {
		return ctx.Err()
	}
	select {
	case <-c.done:
		return context.Canceled
	default:
		return nil
	}
}

// Value implements context.Context.
func (c *call) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	if ctx := c.context(); ctx != nil {
		return ctx.Value(key)
	}

	return nil
}

func (c *call) context() context.Context {
	c.values.Lock()
	defer c.values.Unlock()

	return c.inner
}

// forget gives back the memory of the headers and of all other values, which callers of Value do not get any more. A
// call with a deadline keeps them.
func (c *call) forget() {
	if _, ok := c.Deadline(); ok {
		return
	}
	c.values.Lock()
	defer c.values.Unlock()
	c.inner = nil
}

// admit decides whether a call begins, before it has a goroutine. It also limits the time until its first message.
func (s *Server) admit(ctx context.Context, info *tap.Info) (context.Context, error) {
	conn := conns.Of(ctx)
	if conn != nil && !conn.Begin() {
		s.refusals.add("call_rate", "address", address(ctx))

		return ctx, status.Errorf(codes.ResourceExhausted, "this connection begins more than %d calls a second: "+
			"try again later", s.limits.CallRate)
	}
	if !strings.Contains(strings.TrimPrefix(info.FullMethodName, "/"), "/") { // gRPC would repeat all of it
		return ctx, status.Errorf(codes.Unimplemented, "method %q has no service: call e.g. %s",
			printable.Short(info.FullMethodName), Ydb_Coordination_V1.CoordinationService_Session_FullMethodName)
	}
	c := &call{conn: conn, waiting: &s.waiting}
	if info.FullMethodName != Ydb_Coordination_V1.CoordinationService_Session_FullMethodName {
		ctx, c.cancel = context.WithCancel(ctx) // takes 600 bytes, which is much for an idle session
	}
	c.inner, c.done = ctx, ctx.Done()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alarm = s.clock.NewAlarm(func() { // refers to no other context, since it may be kept for a while when it is stopped
		if c.begin() {
			s.refusals.add("start_timeout", "address", address(c))
			c.end()
		}
	})
	now := s.clock.Now()
	c.alarm.Set(now, now.Add(s.limits.StartTimeout))
	victim, ok := s.waiting.add(c, max(s.limits.Streams, leastWaiting))
	if !ok {
		c.alarm.Stop()

		return ctx, errNotStarted
	}
	if victim != nil {
		s.refusals.add("waiting_calls", "address", address(ctx))
		s.streams.Go(victim.end) // gRPC holds a lock
	}

	return c, nil
}

// end ends the call before its first message.
func (c *call) end() {
	if c.cancel != nil {
		c.cancel()

		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.endLocked()
}

// run is called by the goroutine of a call of a session when it begins.
func (c *call) run(e ender) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ender = e
	c.endLocked()
}

// endLocked is called with mu held.
func (c *call) endLocked() {
	if c.ended && c.ender != nil {
		_ = c.ender.WriteStatus(errGivenUp) // fails only if the connection has ended
	}
}

// errGivenUp is the status of a call whose context was canceled.
var errGivenUp = status.FromContextError(context.Canceled)

// begin notes that the first message has arrived, or will not. It returns false if that was known.
func (c *call) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.alarm == nil {
		return false
	}
	c.alarm.Stop()
	c.alarm = nil
	c.waiting.remove(c)

	return true
}

// limitUnary is called when the request has arrived.
func (s *Server) limitUnary(
	ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	if c := callOf(ctx); c != nil {
		c.begin()
	}

	return handler(ctx, req)
}

// frequent is the period below which pings count as frequent.
const frequent = time.Second

// entrance is what a stream has taken that asks for a session.
type entrance struct {
	allowance

	conn      *conns.Conn // nil: the connection has no limits
	pings     int32       // frequent ones, in a second
	forwarded bool        // by a server that has counted the stream
}

// enter is called for a stream that asks for a session. It returns a refusal, or an entrance, whose leave is to be
// called when the stream has ended. If the stream asks for a new session, one is reserved. It limits streams and new
// sessions, and the pings that the server has to send for sessions with short timeouts.
func (s *Server) enter(ctx context.Context, start *sessionStart) (e entrance, refusal *node.Failure) {
	e.server = s
	if period := pingPeriod(start.GetTimeoutMillis()); period < frequent {
		e.pings = int32(time.Second / period) //nolint:gosec // minPing bounds it
	}
	if s.pings.Add(int64(e.pings)) > int64(s.limits.PingRate) && e.pings > 0 {
		s.pings.Add(-int64(e.pings))
		s.refusals.add("ping_rate", "address", address(ctx))

		return e, &node.Failure{Status: node.Overloaded, Issue: fmt.Sprintf("the server already sends %d pings a "+
			"second to sessions with timeouts below 3s: choose a longer timeout, or try again later", s.limits.PingRate)}
	}
	now, user, fresh := s.clock.Now(), callerOf(ctx).name(), start.GetSessionId() == 0
	e.use, e.existing = s.quota.User(now, user), !fresh
	enter := (*quota.Use).Enter
	if e.forwarded = s.front != nil && fromServer(ctx); e.forwarded {
		enter = (*quota.Use).Accept
	}
	if limit := enter(e.use, now, fresh); limit != "" {
		s.pings.Add(-int64(e.pings))

		return e, &node.Failure{Status: node.Overloaded, Issue: s.exceeded(limit, user, address(ctx))}
	}
	if c := callOf(ctx); c != nil && c.conn != nil {
		e.conn = c.conn
		e.conn.Hold()
	}

	return e, nil
}

// leave gives back what the stream has taken, except a session that is reserved.
func (e *entrance) leave() {
	if !e.forwarded {
		e.use.Leave()
	}
	e.server.pings.Add(-int64(e.pings))
	if e.conn != nil {
		e.conn.Let()
	}
}

// enterForwarded is like enter for a stream that another server serves. That server counts the session and the
// requests.
func (s *Server) enterForwarded(ctx context.Context, start *sessionStart) (leave func(), refusal *node.Failure) {
	user := callerOf(ctx).name()
	use := s.quota.User(s.clock.Now(), user)
	if limit := use.Pass(start.GetSessionId() == 0); limit != "" {
		return nil, &node.Failure{Status: node.Overloaded, Issue: s.exceeded(limit, user, address(ctx))}
	}
	c := callOf(ctx)
	if c != nil && c.conn != nil {
		c.conn.Hold()
	}

	return func() {
		use.Leave()
		if c != nil && c.conn != nil {
			c.conn.Let()
		}
	}, nil
}
