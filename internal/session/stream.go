package session

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tenure/internal/clock"
)

const (
	// minSpacing is the least time between two streams. Whatever the server does, a session opens fewer than 20 streams
	// per second.
	minSpacing = 60 * time.Millisecond

	// stable is how long a stream must have been attached for the next attempt to follow without a pause. It is at most
	// a quarter of the timeout, so that a pause never comes on top of the wait for a silent node.
	stable = time.Second
)

var (
	errSilent  = errors.New("the node did not answer in time")
	errNoStart = errors.New("no answer to the attach request")
	errNoStop  = errors.New("no answer to the stop request")

	errReconnect = errors.New("the program called Reconnect")
)

// overdue reports whether the core leaves a stream because an answer is overdue.
func overdue(cause error) bool {
	return errors.Is(cause, errSilent) || errors.Is(cause, errNoStart) || errors.Is(cause, errNoStop)
}

func (c *Core) quarter() time.Duration { return c.proof.timeout / tries }

func (c *Core) silence() time.Duration { return min(c.cfg.Silence, c.quarter()) }

// open opens a stream and asks the server to attach it to the session.
func (c *Core) open(fx *Effects) {
	c.stream++
	c.seq++
	c.phase, c.opened, c.asked = attaching, c.now, c.now
	fx.do(Open{c.stream})
	start := c.cfg.Start(c.id, c.seq)
	if c.ending != nil {
		start.GetSessionStart().TimeoutMillis = 0 // see NewEnding
	}
	fx.send(c.stream, start)
}

// Start returns the request that attaches to the session with the given id, or creates a session if the id is 0.
func (c *Config) Start(id, seq uint64) *pb.SessionRequest {
	return &pb.SessionRequest{Request: &pb.SessionRequest_SessionStart_{
		SessionStart: &pb.SessionRequest_SessionStart{
			Path: c.Path, SessionId: id, TimeoutMillis: uint64(c.Timeout.Milliseconds()),
			Description: c.Description, SeqNo: seq, ProtectionKey: c.Key,
		},
	}}
}

// Received handles a message from a stream. Messages from earlier streams are ignored. Received keeps issues and
// descriptions, and no other part of the message, so the caller may reuse the rest.
func (c *Core) Received(now clock.Instant, stream StreamID, m *pb.SessionResponse, fx *Effects) {
	defer c.wake(fx)
	if !c.enter(now, fx) || stream != c.stream || c.phase == apart {
		return
	}
	switch r := m.GetResponse().(type) {
	case *pb.SessionResponse_Ping:
		fx.send(c.stream, &pb.SessionRequest{Request: &pb.SessionRequest_Pong{
			Pong: &pb.SessionRequest_PingPong{Opaque: r.Ping.GetOpaque()},
		}})
	case *pb.SessionResponse_SessionStarted_:
		if c.phase == attaching {
			c.started(r.SessionStarted, fx)
		}
	case *pb.SessionResponse_SessionStopped_:
		c.end(&StatusError{Status: Ydb.StatusIds_SESSION_EXPIRED}, fx) // after Close, Over has been sent with ErrClosed
	case *pb.SessionResponse_Failure_:
		c.failed(&StatusError{r.Failure.GetStatus(), r.Failure.GetIssues()}, fx)
	case *pb.SessionResponse_DescribeSemaphoreChanged_:
		c.changed(r.DescribeSemaphoreChanged, fx)
	default:
		if a, ok := answerOf(m); ok && c.phase == attached {
			c.answered(a, fx)
		}
	}
}

// Ended handles the end of a stream, or the failure to open it. A nil err means that the stream ended without an error.
func (c *Core) Ended(now clock.Instant, stream StreamID, err error, fx *Effects) {
	defer c.wake(fx)
	if !c.enter(now, fx) || stream != c.stream || c.phase == apart {
		return
	}
	if c.phase == attaching && hopeless(status.Code(err)) {
		c.denied(err, fx)

		return
	}
	if c.phase == attached && tooLarge(err) {
		c.oversized(err, fx)
	}
	c.disconnect(err, fx)
}

// tooLarge reports whether this process's gRPC has refused a message because of its size. The text is all that tells
// this from a server that ends a stream with the same code, for example because the client reads too slowly. Such a
// server may accept the same request on the next stream.
func tooLarge(err error) bool {
	s := status.Convert(err)

	return s.Code() == codes.ResourceExhausted && strings.Contains(s.Message(), "larger than max")
}

// maxOversized is the number of streams that a Describe may spoil. There are several, because the guess which Describe
// is at fault may be wrong.
const maxOversized = 3

// oversized handles the end of a stream by an answer that is larger than the client accepts. Only
// descriptions can be so large, and the node answers those in order, so the first Describe without an answer is at
// fault. It would spoil each later stream too, so after a few it finishes with an error. A renewal is changed instead:
// see renew.
func (c *Core) oversized(cause error, fx *Effects) {
	call := c.calls.first
	for call != nil && call.Kind != Describe {
		call = call.after
	}
	switch {
	case call == nil:
	case call.renewal:
		if l := c.leases[call.name]; l != nil {
			l.oversized++
		}
	default:
		call.oversized++
		if call.oversized < maxOversized {
			return
		}
		c.finish(call)
		delete(c.watches, call.req)
		if !call.abandoned {
			fx.finish(Finished{Call: call, Err: fmt.Errorf("%w: %w", ErrAnswer, cause)})
		}
	}
}

// hopeless reports whether an attach that ended with the code would fail in the same way again, until somebody changes
// something at the server.
func hopeless(code codes.Code) bool {
	switch code {
	case codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented, codes.InvalidArgument:
		return true
	default:
		return false
	}
}

// started handles the answer to an attach, which is the first proof on this stream.
func (c *Core) started(m *pb.SessionResponse_SessionStarted, fx *Effects) {
	again := c.id != 0
	if m.GetSessionId() == 0 || again && m.GetSessionId() != c.id {
		c.end(&StatusError{Status: Ydb.StatusIds_BAD_SESSION}, fx)

		return
	}
	c.id = m.GetSessionId()
	if ms := m.GetTimeoutMillis(); ms != 0 && ms < uint64(c.cfg.Timeout.Milliseconds()) { // A7: 0 means the requested one
		c.proof.timeout = time.Duration(ms) * time.Millisecond
	}
	if c.ending == nil {
		c.proved(c.asked)
	}
	c.phase, c.since = attached, c.now
	fx.do(Started{c.id, again})
	if c.cause != nil {
		c.stop(fx)

		return
	}
	c.repeat(fx)
}

// stop asks the server to end the session.
func (c *Core) stop(fx *Effects) {
	c.phase, c.asked = stopping, c.now
	fx.send(c.stream, &pb.SessionRequest{Request: &pb.SessionRequest_SessionStop_{
		SessionStop: &pb.SessionRequest_SessionStop{},
	}})
}

// failed handles a Failure, which ends the stream. Some statuses end the session as well, immediately or if the server
// does not change its mind (docs/protocol.md, C2).
func (c *Core) failed(err *StatusError, fx *Effects) {
	switch err.Status {
	case Ydb.StatusIds_SESSION_EXPIRED, Ydb.StatusIds_NOT_FOUND:
		c.end(err, fx)
	case Ydb.StatusIds_UNAUTHORIZED, Ydb.StatusIds_BAD_REQUEST, Ydb.StatusIds_SCHEME_ERROR:
		c.denied(err, fx)
	case Ydb.StatusIds_BAD_SESSION, Ydb.StatusIds_PRECONDITION_FAILED: // once attached, BAD_SESSION is a takeover (A8)
		switch {
		case c.phase != attaching:
			c.disconnect(err, fx)
		case err.Status == Ydb.StatusIds_BAD_SESSION:
			c.end(err, fx)
		default:
			c.denied(err, fx)
		}
	default:
		c.disconnect(err, fx)
	}
}

// disconnect leaves the stream. Another attempt follows.
func (c *Core) disconnect(cause error, fx *Effects) {
	if c.ending != nil && c.ending.until != 0 { // this was the last attempt
		c.end(cause, fx)

		return
	}
	fx.do(Drop{c.stream, overdue(cause)})
	fx.do(Lost{cause})
	if c.phase != attaching && c.now >= c.since.Add(min(stable, c.quarter())) {
		c.retries, c.refusals = 0, 0
	}
	pause := c.pause()
	if c.phase == attaching && crowded(cause) {
		pause = max(pause, c.crowdedPause())
	}
	c.phase = apart
	c.dropRenewal()
	c.loseWatches(fx)
	c.reopen = max(c.now.Add(pause), c.opened.Add(minSpacing))
	if c.reopen <= c.now {
		c.open(fx)
	}
}

// pause returns how long to wait before the next attempt. There is no pause before the first attempt. After that, the
// pause starts at ReconnectDelay and doubles each time, up to LongestPause or an eighth of the timeout, whichever is
// less; up to half of it is taken off at random. So three attempts fit into a timeout, even if the pauses are at their
// longest and each attempt takes a quarter of the timeout.
func (c *Core) pause() time.Duration {
	c.retries++
	if c.retries == 1 {
		return 0
	}
	longest := c.quarter() / 2
	if c.cfg.LongestPause > 0 {
		longest = min(longest, c.cfg.LongestPause)
	}
	pause := min(c.cfg.ReconnectDelay, longest)
	for range min(c.retries-2, 30) {
		pause = min(2*pause, longest)
	}

	return pause - time.Duration(c.jitter.Int64N(int64(pause)/2+1))
}

// Reconnect leaves the current stream and opens another one.
func (c *Core) Reconnect(now clock.Instant, fx *Effects) {
	defer c.wake(fx)
	if c.enter(now, fx) && (c.phase == attaching || c.phase == attached) {
		c.disconnect(errReconnect, fx)
	}
}
