package session_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tenure/internal/clock"
	"tenure/internal/session"
)

// endsAlways are the statuses with which a Failure ends the session at any time (docs/protocol.md, C2). BAD_SESSION
// does so only in answer to an attach. Those in endsNew end a session that does not exist yet, and are refusals for
// others.
var (
	endsAlways = []Ydb.StatusIds_StatusCode{Ydb.StatusIds_SESSION_EXPIRED, Ydb.StatusIds_NOT_FOUND}
	endsAttach = append([]Ydb.StatusIds_StatusCode{Ydb.StatusIds_BAD_SESSION}, endsAlways...)
	endsNew    = append([]Ydb.StatusIds_StatusCode{
		Ydb.StatusIds_UNAUTHORIZED, Ydb.StatusIds_BAD_REQUEST, Ydb.StatusIds_SCHEME_ERROR,
		Ydb.StatusIds_PRECONDITION_FAILED,
	}, endsAttach...)
)

func eachStatus(t *testing.T, f func(t *testing.T, code Ydb.StatusIds_StatusCode)) {
	t.Helper()
	for n, name := range Ydb.StatusIds_StatusCode_name {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, Ydb.StatusIds_StatusCode(n))
		})
	}
}

// requireEnded requires that the session has ended immediately, with the server's status as its cause.
func requireEnded(t *testing.T, h *harness, code Ydb.StatusIds_StatusCode) {
	t.Helper()
	require.Equal(t, &session.StatusError{Status: code, Issues: issue("says the server")}, h.over)
	require.True(t, h.closed)
	require.Zero(t, h.core.Deadline())
	require.Zero(t, h.wake)
}

// A Failure in answer to an attach ends the session or leads to another attempt, as its status says. More statuses end
// a session that does not exist yet.
func TestFailure_AnswersAttach(t *testing.T) {
	t.Parallel()
	eachStatus(t, func(t *testing.T, code Ydb.StatusIds_StatusCode) {
		t.Helper()
		for _, again := range []bool{false, true} {
			h := newHarness(t, defaults())
			if again {
				h = attached(t, defaults())
				h.acquire("a1", "lock", 1)
				h.granted(h.reqs["a1"])
				h.ended(errCut)
			}
			opens := len(h.opens)
			h.failure(code)
			if slices.Contains(endsAttach, code) || !again && slices.Contains(endsNew, code) {
				requireEnded(t, h, code)

				continue
			}
			require.NoError(t, h.over)
			pause := 100 * time.Millisecond
			if code == Ydb.StatusIds_OVERLOADED || slices.Contains(endsNew, code) { // see crowdedPause and refusedPause
				pause = time.Second
			}
			h.advance(pause)
			require.Len(t, h.opens, opens+1)
			h.started(7)
			require.NoError(t, h.over)
			require.NotZero(t, h.core.Deadline())
		}
	})
}

// A Failure of an attached stream ends the session or only the stream, as its status says.
func TestFailure_WhileAttached(t *testing.T) {
	t.Parallel()
	eachStatus(t, func(t *testing.T, code Ydb.StatusIds_StatusCode) {
		t.Helper()
		h := attached(t, defaults())
		h.acquire("a1", "lock", 1)
		h.granted(h.reqs["a1"])
		before := h.core.Deadline()
		h.failure(code)
		if slices.Contains(endsAlways, code) {
			requireEnded(t, h, code)

			return
		}
		require.NoError(t, h.over)
		require.Equal(t, before, h.core.Deadline())
		require.Len(t, h.opens, 2, "the next stream is opened immediately")
		h.started(7)
		require.NoError(t, h.over)
		require.NotContains(t, h.output(), "lease a1 ends")
	})
}

// A stream that ends with a gRPC error is replaced by another one. During the first attach, some codes end the session,
// because they are permanent.
func TestEnded(t *testing.T) {
	t.Parallel()
	hopeless := []codes.Code{
		codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented, codes.InvalidArgument,
	}
	for c := codes.OK; c <= codes.Unauthenticated; c++ {
		h := attached(t, defaults())
		for range 2 {
			h.ended(status.Error(c, "cut"))
			require.NoError(t, h.over, c)
			require.Len(t, h.opens, 2)
		}
		require.Equal(t, slices.Contains(hopeless, c), h.core.Refusal() != nil, c)

		h = newHarness(t, defaults())
		h.ended(status.Error(c, "cut"))
		require.Equal(t, slices.Contains(hopeless, c), h.closed, c)
		require.Equal(t, h.closed, h.over != nil, c)
	}
}

// While the server refuses, a session lasts until the deadline that the last proof gives. It asks the server at least
// three times, and not often. Then it ends with the last refusal.
func TestRefused_UntilDeadline(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{time.Second, 10 * time.Second, 30 * time.Minute} {
		cfg := defaults()
		cfg.Timeout = timeout
		h := attached(t, cfg)
		deadline := h.core.Deadline()
		h.failure(Ydb.StatusIds_UNAUTHORIZED)
		answered := 1
		for h.over == nil {
			require.Equal(t, deadline, h.core.Deadline())
			if len(h.opens) == answered {
				h.advance(h.wake.Sub(h.now))

				continue
			}
			answered = len(h.opens)
			h.ended(status.Errorf(codes.Unauthenticated, "refusal %d", answered))
		}
		require.Equal(t, deadline, h.now, timeout)
		last, ok := errors.AsType[*session.RefusedError](h.over)
		require.True(t, ok)
		require.ErrorContains(t, last.Cause, fmt.Sprintf("refusal %d", answered))
		require.GreaterOrEqual(t, answered, 4)
		require.LessOrEqual(t, answered, 40)
	}
}

// The answer to a call ends the session with SESSION_EXPIRED, and the stream with BAD_SESSION (Q2). It moves the
// deadline if its status can only come from the node.
func TestAnswer_EachStatus(t *testing.T) {
	t.Parallel()
	eachStatus(t, func(t *testing.T, code Ydb.StatusIds_StatusCode) {
		t.Helper()
		h := attached(t, defaults())
		m := &pb.SessionRequest_CreateSemaphore{Name: "lock"}
		h.now = h.now.Add(time.Second / 2)
		h.begin("c1", session.NewCreate(m), m.GetReqId)
		h.now = h.now.Add(time.Second / 10)
		h.receive(&pb.SessionResponse{Response: &pb.SessionResponse_CreateSemaphoreResult_{
			CreateSemaphoreResult: &pb.SessionResponse_CreateSemaphoreResult{ReqId: m.GetReqId(), Status: code},
		}})
		proofs := []Ydb.StatusIds_StatusCode{ // only the node itself gives these
			Ydb.StatusIds_SUCCESS, Ydb.StatusIds_NOT_FOUND, Ydb.StatusIds_ALREADY_EXISTS,
			Ydb.StatusIds_PRECONDITION_FAILED, Ydb.StatusIds_ABORTED,
		}
		switch {
		case code == Ydb.StatusIds_SESSION_EXPIRED:
			require.True(t, h.closed)
		case code == Ydb.StatusIds_BAD_SESSION:
			require.Len(t, h.opens, 2)
		case slices.Contains(proofs, code):
			require.Equal(t, began.Add(600*time.Millisecond+session.Believed(h.cfg.Timeout)), h.core.Deadline())
		default:
			require.Equal(t, began.Add(session.Believed(h.cfg.Timeout)), h.core.Deadline())
		}
	})
}

func TestBelieved(t *testing.T) {
	t.Parallel()
	for timeout, want := range map[time.Duration]time.Duration{
		100 * time.Millisecond: 94 * time.Millisecond,      // 1 ms of drift, 5 ms of margin (its minimum)
		250 * time.Millisecond: 242_500 * time.Microsecond, // from here on, the margin grows
		5 * time.Second:        4_850 * time.Millisecond,   // 50 ms of drift, 100 ms of margin
		25 * time.Second:       24_250 * time.Millisecond,  // the margin reaches its maximum, 500 ms
		30 * time.Minute:       1_781_500 * time.Millisecond,
	} {
		require.Equal(t, want, session.Believed(timeout), timeout)
	}
}

// The session is alive one nanosecond before its deadline and has ended at the deadline, whichever event comes first.
func TestDeadline_IsExact(t *testing.T) {
	t.Parallel()
	for name, happen := range map[string]func(*harness){
		"tick":      func(h *harness) { h.do(h.core.Tick) },
		"answer":    func(h *harness) { h.acquired(h.reqs["a2"], Ydb.StatusIds_SUCCESS, false) },
		"failure":   func(h *harness) { h.failure(Ydb.StatusIds_UNAVAILABLE) },
		"end":       func(h *harness) { h.ended(errCut) },
		"begin":     func(h *harness) { h.acquire("a3", "third", 1) },
		"cancel":    func(h *harness) { h.cancel("a2") },
		"reconnect": func(h *harness) { h.do(h.core.Reconnect) },
		"other stream": func(h *harness) {
			h.do(func(now clock.Instant, fx *session.Effects) { h.core.Ended(now, 99, nil, fx) })
		},
	} {
		for _, before := range []time.Duration{0, 1} {
			t.Run(fmt.Sprintf("%s %v before", name, before), func(t *testing.T) {
				t.Parallel()
				h := attached(t, defaults())
				h.acquire("a1", "lock", 1)
				h.granted(h.reqs["a1"])
				h.acquire("a2", "other", 1)
				h.now = h.core.Deadline().Add(-before)
				happen(h)
				if before > 0 {
					require.NoError(t, h.over)

					return
				}
				require.ErrorIs(t, h.over, session.ErrDeadline)
				require.True(t, h.closed)
				require.Empty(t, h.calls)
			})
		}
	}
}

// If all answers are lost, the client asks the node at least three times between the last proof and the deadline. Each
// time, a twentieth of the timeout or more is left for the answer.
func TestRenewal_ThreeRequests(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{
		200 * time.Millisecond, time.Second, 5 * time.Second, 30 * time.Second, 30 * time.Minute,
	} {
		for seed := range uint64(50) {
			for _, failures := range []int{0, 1, 5, 20} { // failed attempts beforehand, which make the pauses longer
				cfg := defaults()
				cfg.Timeout, cfg.StartTimeout, cfg.Silence, cfg.Seed = timeout, time.Hour, time.Hour, seed
				h := newHarness(t, cfg)
				h.started(7)
				for range failures {
					h.ended(errCut)
					h.advance(h.wake.Sub(h.now))
					h.started(7)
				}
				h.sent = nil
				deadline := h.core.Deadline()
				h.advance(deadline.Sub(h.now) - timeout/20)
				require.NoError(t, h.over)
				asked := 0
				for _, m := range h.sent {
					if m.GetDescribeSemaphore() != nil || m.GetSessionStart() != nil {
						asked++
					}
				}
				require.GreaterOrEqual(t, asked, 3, "timeout %v, seed %d, %d failures:\n%s", timeout, seed, failures, h.output())
				h.advance(timeout / 20)
				require.ErrorIs(t, h.over, session.ErrDeadline)
			}
		}
	}
}

// A session survives on streams that each end as soon as they are attached, for any length of time.
func TestStreams_EndImmediately(t *testing.T) {
	t.Parallel()
	h := attached(t, defaults())
	for range 10_000 {
		h.ended(errCut)
		h.advance(h.wake.Sub(h.now))
		h.started(7)
	}
	require.NoError(t, h.over)
	require.Greater(t, h.now.Sub(began), time.Hour, "the pauses grow")
	requireSpaced(t, h.opens)
}

// With a small LongestPause, the time between two streams stays at the minimum spacing.
func TestStreams_LongestPause(t *testing.T) {
	t.Parallel()
	cfg := defaults()
	cfg.LongestPause = 10 * time.Millisecond
	h := attached(t, cfg)
	for range 1_000 {
		h.ended(errCut)
		h.advance(h.wake.Sub(h.now))
		h.started(7)
	}
	require.NoError(t, h.over)
	requireSpaced(t, h.opens)
	for i, at := range h.opens[3:] { // the first stream stayed attached for longer
		require.Less(t, at.Sub(h.opens[i+2]), 2*time.Second/mostOpens)
	}
}

// requireSpaced requires that no more than mostOpens streams were opened within any second.
func requireSpaced(t require.TestingT, opens []clock.Instant) {
	for i := range opens {
		if i >= mostOpens {
			require.Greater(t, opens[i].Sub(opens[i-mostOpens]), time.Second)
		}
	}
}
