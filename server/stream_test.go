package server_test

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tenure/internal/bubbletest"
	"tenure/internal/clock"
	"tenure/internal/outputtest"
	"tenure/server"
)

// A1: the first message must be SessionStart.
func TestStream_FirstMessageMustStart(t *testing.T) {
	h := serve(t)
	for name, m := range map[string]*pb.SessionRequest{
		"ping":  pingMessage(1),
		"empty": {},
	} {
		s := h.open(t)
		s.send(m)
		_, err := s.grpc.Recv()
		require.Equal(t, codes.InvalidArgument, status.Code(err), name)
		require.ErrorContains(t, err, "First message must be a SessionStart", name)
	}
}

// A1: requests after SessionStart wait for its answer. A7: SessionStarted comes first, then the first ping.
func TestStream_RequestsBehindStartWait(t *testing.T) {
	h := serve(t)
	s := h.open(t)
	s.keepPings = true
	s.send(startMessage(h.node, 0, time.Minute))
	s.send(acquireMessage(1, "job", forever))

	started := s.recv().GetSessionStarted()
	require.NotZero(t, started.GetSessionId())
	require.EqualValues(t, 60_000, started.GetTimeoutMillis())
	require.NotZero(t, s.recv().GetPing().GetOpaque())
	require.True(t, s.recv().GetAcquireSemaphoreResult().GetAcquired())
}

// A2, A3: a Failure is a message, after which the stream ends with OK.
func TestStream_AttachFailures(t *testing.T) {
	h := serve(t)
	tests := map[string]struct {
		path   string
		status Ydb.StatusIds_StatusCode
		text   string
	}{
		"empty path":   {"", Ydb.StatusIds_BAD_REQUEST, "KesusPath cannot be empty"},
		"unknown path": {"/local/none", Ydb.StatusIds_NOT_FOUND, "Kesus not found"},
		"directory":    {"/local", Ydb.StatusIds_NOT_FOUND, "Kesus not found"},
		"too long":     {h.node, Ydb.StatusIds_BAD_REQUEST, "Session timeout is out of range"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := h.open(t)
			s.send(startMessage(test.path, 0, 31*time.Minute))
			s.requireFailure(test.status, test.text)
		})
	}
}

// N6: paths are cleaned in a SessionStart too.
func TestStream_PathIsCleaned(t *testing.T) {
	h := serve(t)
	h.attach(t, 0, time.Minute)
	s := h.open(t)
	s.send(startMessage("/local//test/", 0, time.Minute))
	require.EqualValues(t, 2, s.recv().GetSessionStarted().GetSessionId())
}

// A8: an attach takes the session over. The stream that served it gets a Failure and ends.
func TestStream_TakeOver(t *testing.T) {
	h := serve(t)
	first := h.attach(t, 0, time.Minute)
	second := h.attach(t, first.id, time.Minute)
	require.Equal(t, first.id, second.id)
	first.requireFailure(Ydb.StatusIds_BAD_SESSION, "Session stolen by another local client")
	second.requireAcquired("job")
}

// A10: when a stream ends, its session expires after its timeout, and not before.
func TestStream_EndStartsTimeout(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		h := serve(t)
		holder, waiter := h.attach(t, 0, 3*time.Second), h.attach(t, 0, time.Minute)
		holder.requireAcquired("job")
		waiter.requirePending("job")

		holder.cancel()
		began := time.Now()
		require.True(t, waiter.recv().GetAcquireSemaphoreResult().GetAcquired())
		require.Equal(t, 3*time.Second, time.Since(began))
	})
}

// A14: after SessionStopped the stream ends, and nothing after SessionStop is served.
func TestStream_Stop(t *testing.T) {
	h := serve(t)
	s := h.attach(t, 0, time.Minute)
	other := h.attach(t, 0, time.Minute)
	s.send(&pb.SessionRequest{Request: &pb.SessionRequest_SessionStop_{SessionStop: &pb.SessionRequest_SessionStop{}}})
	_ = s.trySend(acquireMessage(1, "job", forever)) // the stream may be at its end

	require.Equal(t, s.id, s.recv().GetSessionStopped().GetSessionId())
	s.requireEnd()
	other.requireAcquired("job")
	late := h.open(t)
	late.send(startMessage(h.node, s.id, time.Minute))
	late.requireFailure(Ydb.StatusIds_SESSION_EXPIRED, "Session does not exist")
}

// P1: the first ping comes immediately, later ones every third of the timeout, but every 10 ms at most and 5 s at
// least.
func TestStream_PingPeriod(t *testing.T) {
	tests := map[string]struct{ timeout, period time.Duration }{
		"a third":       {3 * time.Second, time.Second},
		"at most 5 s":   {time.Minute, 5 * time.Second},
		"at least 10ms": {3 * time.Millisecond, 10 * time.Millisecond},
		"timeout zero":  {0, 10 * time.Millisecond},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bubbletest.Test(t, func(t *testing.T) {
				h := serve(t)
				s := h.open(t)
				s.keepPings = true
				s.send(startMessage(h.node, 0, test.timeout))
				require.NotNil(t, s.recv().GetSessionStarted())
				s.send(pongMessage(s.recv().GetPing().GetOpaque()))
				last := time.Now()
				for range 10 {
					opaque := s.recv().GetPing().GetOpaque()
					require.NotZero(t, opaque)
					require.Equal(t, test.period, time.Since(last))
					last = time.Now()
					s.send(pongMessage(opaque))
				}
			})
		})
	}
}

// P2: a client that does not answer a ping loses its stream when the next is due. The session timeout starts then.
func TestStream_SilentClientLosesStream(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		h := serve(t)
		s := h.open(t)
		s.keepPings = true
		s.send(startMessage(h.node, 0, 3*time.Second))
		id := s.recv().GetSessionStarted().GetSessionId()
		require.NotZero(t, s.recv().GetPing().GetOpaque())
		began := time.Now()
		s.requireFailure(Ydb.StatusIds_TIMEOUT, "Ping timeout")
		require.Equal(t, time.Second, time.Since(began))

		time.Sleep(3*time.Second - time.Millisecond)
		require.Equal(t, id, h.attach(t, id, 3*time.Second).id)
	})
}

// P3: a pong must answer the last ping. An opaque of 0 is accepted when no ping is outstanding.
func TestStream_PongMismatch(t *testing.T) {
	h := serve(t)
	s := h.open(t)
	s.keepPings = true
	s.send(startMessage(h.node, 0, time.Minute))
	require.NotNil(t, s.recv().GetSessionStarted())
	s.send(pongMessage(s.recv().GetPing().GetOpaque()))
	s.send(pongMessage(0))
	s.send(pingMessage(7))
	require.EqualValues(t, 7, s.recv().GetPong().GetOpaque(), "opaque 0 is accepted")
	s.send(pongMessage(1))
	s.requireFailure(Ydb.StatusIds_BAD_REQUEST, "Pong data mismatch")
}

// P4: pongs do not wait for commits. All other messages do.
func TestStream_PongPassesCommit(t *testing.T) {
	st := newGate(t)
	h := serve(t, withStore(st))
	s := h.attach(t, 0, time.Minute)

	st.shut()
	s.send(acquireMessage(1, "job", forever))
	st.awaitCommit()
	s.send(pingMessage(42))
	require.EqualValues(t, 42, s.recv().GetPong().GetOpaque())
	st.open()
	require.True(t, s.recv().GetAcquireSemaphoreResult().GetAcquired())
}

// P5: a message that is not a request ends the stream.
func TestStream_BadRequests(t *testing.T) {
	h := serve(t)
	tests := map[string]struct {
		m    *pb.SessionRequest
		text string
	}{
		"empty": {&pb.SessionRequest{}, "Empty request"},
		"start": {startMessage(h.node, 0, time.Second), "Session cannot be started twice"},
		"unsupported": {
			&pb.SessionRequest{Request: &pb.SessionRequest_Unsupported_13{Unsupported_13: &pb.Unsupported{}}},
			"Unimplemented request",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := h.attach(t, 0, time.Minute)
			s.send(test.m)
			s.requireFailure(Ydb.StatusIds_BAD_REQUEST, test.text)
		})
	}
}

// A client that does not read loses its stream, and no other client waits for it.
func TestStream_SlowReaderIsCut(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		var log outputtest.Buffer
		h := serve(t, server.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		slow, other := h.attach(t, 0, 3*time.Second), h.attach(t, 0, time.Minute)
		slow.requireAcquired("held")
		slow.create("big", strings.Repeat("x", 60<<10))
		for range 200 { // their answers have 12 MiB, and the client reads none of them
			_ = slow.trySend(describeMessage(1, "big")) // fails when the stream has been cut
			other.requireAcquired("job")
			other.requireReleased("job")
		}
		synctest.Wait()
		require.Contains(t, log.String(), "stream cut: the client does not read")

		began := time.Now()
		other.requirePending("held")
		require.True(t, other.recv().GetAcquireSemaphoreResult().GetAcquired())
		require.Equal(t, 3*time.Second, time.Since(began), "the session was detached immediately")
	})
}

// A panic while a stream is served ends that stream, is logged with its stack, and detaches the session (A10). Other
// streams are not affected.
func TestStream_PanicEndsOneStream(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		var log outputtest.Buffer
		clk := &panicky{Clock: clock.Go(), alarm: 3}
		h := serve(t, withClock(clk), server.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		victim := h.attach(t, 0, 3*time.Second)
		synctest.Wait() // until the stream has its alarm, which is the third one
		other := h.attach(t, 0, time.Minute)
		victim.requireAcquired("job")
		other.requirePending("job")

		clk.armed.Store(true)
		for {
			m, err := victim.grpc.Recv()
			if err != nil {
				require.Equal(t, codes.Internal, status.Code(err))

				break
			}
			_ = victim.trySend(pongMessage(m.GetPing().GetOpaque())) // the stream may be at its end
		}
		require.Contains(t, log.String(), "the timer is broken")
		require.Contains(t, log.String(), "stream.go", "the stack")

		began := time.Now()
		require.True(t, other.recv().GetAcquireSemaphoreResult().GetAcquired())
		require.Equal(t, 3*time.Second, time.Since(began))
	})
}

// A11: a stream that ends before its SessionStarted is durable leaves no session.
func TestStream_AbandonedAttachLeavesNoSession(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		st := newGate(t)
		h := serve(t, withStore(st))
		first := h.attach(t, 0, time.Minute)

		st.shut()
		abandoned := h.open(t)
		abandoned.send(startMessage(h.node, 0, time.Minute))
		st.awaitCommit()
		abandoned.cancel()
		synctest.Wait()
		st.open()
		synctest.Wait()

		late := h.open(t)
		late.send(startMessage(h.node, first.id+1, time.Minute))
		late.requireFailure(Ydb.StatusIds_SESSION_EXPIRED, "Session does not exist")
	})
}

// The server does not create sessions for streams that their clients have given up meanwhile. Otherwise a client whose
// attaches are not answered in time makes it busier with each attempt.
func TestStream_AbandonedAttachCostsNothing(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		st := newGate(t)
		h := serve(t, withStore(st))
		st.shut()
		first := h.open(t)
		first.send(startMessage(h.node, 0, time.Minute))
		st.awaitCommit()
		for range 10 {
			abandoned := h.open(t)
			abandoned.send(startMessage(h.node, 0, time.Minute))
			synctest.Wait() // until the attach is in the inbox
			abandoned.cancel()
		}
		synctest.Wait()
		st.open()
		id := first.recv().GetSessionStarted().GetSessionId()
		require.Equal(t, id+1, h.attach(t, 0, time.Minute).id)
	})
}
