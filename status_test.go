package tenure_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
	"tenure/internal/clientconfig"
	"tenure/internal/clock"
	core "tenure/internal/session"
)

// finals are the statuses with which a Failure ends a session at any time. BAD_SESSION does so in answer to an attach.
// attachRefusals say nothing about a session that exists. In answer to the first attach, all of them are permanent
// (C2).
var (
	finals         = []Ydb.StatusIds_StatusCode{Ydb.StatusIds_SESSION_EXPIRED, Ydb.StatusIds_NOT_FOUND}
	attachFinals   = append([]Ydb.StatusIds_StatusCode{Ydb.StatusIds_BAD_SESSION}, finals...)
	attachRefusals = []Ydb.StatusIds_StatusCode{
		Ydb.StatusIds_UNAUTHORIZED, Ydb.StatusIds_BAD_REQUEST, Ydb.StatusIds_SCHEME_ERROR,
		Ydb.StatusIds_PRECONDITION_FAILED,
	}
)

// eachStatus runs a test for each status except SUCCESS.
func eachStatus(t *testing.T, f func(*world, Ydb.StatusIds_StatusCode)) {
	t.Helper()
	for number, name := range Ydb.StatusIds_StatusCode_name {
		if code := Ydb.StatusIds_StatusCode(number); code != Ydb.StatusIds_SUCCESS {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				inWorld(t, func(w *world) { f(w, code) })
			})
		}
	}
}

// frontScene returns a scene in which the session holds its lease through a front server.
func frontScene(w *world, timeout time.Duration) (*scene, *front) {
	c, f := w.behind()
	s := &scene{world: w, client: c, session: w.session(c, timeout), timeout: timeout}
	s.lease = w.hold(s.session)
	s.rival = w.rival()
	w.lives(s.lease, 21*timeout/10)

	return s, f
}

func refuseAttach(code Ydb.StatusIds_StatusCode) func(*relay, *pb.SessionRequest) bool {
	return func(r *relay, m *pb.SessionRequest) bool {
		if m.GetSessionStart() == nil {
			return true
		}
		r.fail(code)

		return false
	}
}

// When the first attach is refused for good, Session returns the error immediately. It retries after other statuses
// until its context ends, and then its error includes the status.
func TestStatus_OfFirstAttach(t *testing.T) {
	t.Parallel()
	eachStatus(t, func(w *world, code Ydb.StatusIds_StatusCode) {
		c, f := w.behind()
		f.onRequest(refuseAttach(code))
		ctx, cancel := context.WithTimeout(w.Context(), 10*time.Second)
		defer cancel()
		from := time.Now()
		_, err := c.Session(ctx, path)
		require.True(w, ydb.IsOperationError(err, code), "%v", err)
		require.ErrorContains(w, err, "says the front")
		require.ErrorContains(w, err, path)
		if slices.Contains(attachFinals, code) || slices.Contains(attachRefusals, code) {
			require.Zero(w, time.Since(from))
			require.NotErrorIs(w, err, tenure.ErrSessionExpired, "there was no session that could expire")

			return
		}
		require.Equal(w, 10*time.Second, time.Since(from))
		require.ErrorIs(w, err, context.DeadlineExceeded)
	})
}

// When the answer to a later attach says that the session is gone, the leases end immediately. After other statuses the
// client retries until the deadline. If the server has refused until then, that is the reason.
func TestStatus_OfLaterAttach(t *testing.T) {
	t.Parallel()
	eachStatus(t, func(w *world, code Ydb.StatusIds_StatusCode) {
		s, f := frontScene(w, time.Second)
		f.onRequest(refuseAttach(code))
		s.session.Reconnect()
		why := func() error { return context.Cause(s.lease.Context()) }
		switch {
		case slices.Contains(attachFinals, code):
			s.requireEnd(0, tenure.ErrSessionExpired)
			require.True(w, ydb.IsOperationError(why(), code))
			require.ErrorContains(w, why(), "says the front")
		case slices.Contains(attachRefusals, code):
			deadline := s.lease.Remaining()
			from := time.Now()
			s.requireEnd(core.Believed(s.timeout), tenure.ErrSessionExpired)
			require.GreaterOrEqual(w, time.Since(from), deadline)
			require.True(w, ydb.IsOperationError(why(), code))
			require.NotErrorIs(w, why(), tenure.ErrDeadlinePassed)
			require.EqualError(w, why(), fmt.Sprintf(
				"the server refuses to continue the session: attach to node %q: %v (says the front)%s", path, code, remedy(code)))
		default:
			s.requireEnd(core.Believed(s.timeout), tenure.ErrDeadlinePassed)
		}
	})
}

// A refusal that passes before the deadline ends nothing: the lease lives on, and so does the place of a waiter. Only
// RefusalChanged tells of it.
func TestStatus_RefusalPasses(t *testing.T) {
	t.Parallel()
	for _, code := range attachRefusals {
		t.Run(code.String(), func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				s, f := frontScene(w, 4*time.Second)
				probe := clientconfig.FromContext(s.session.Context())
				for range 3 {
					begins := probe.RefusalChanged()
					f.onRequest(refuseAttach(code))
					f.each(func(r *relay) { r.fail(code) })
					from := time.Now()
					<-begins
					require.Less(w, time.Since(from), time.Second)
					ends := probe.RefusalChanged()
					require.Error(w, probe.Refusal())
					s.lives(s.lease, s.timeout/2) // the last proof may be a quarter older, and the next attempt an eighth later
					require.Error(w, probe.Refusal())
					f.onRequest(nil)
					select {
					case <-ends:
					case <-s.lease.Context().Done():
						require.NoError(w, context.Cause(s.lease.Context()))
					}
					require.NoError(w, probe.Refusal())
					s.lives(s.lease, s.timeout/2)
				}
				s.requireLife()
			})
		})
	}
}

// A Failure of an attached stream ends the session immediately, or only the stream.
func TestStatus_OfFailure(t *testing.T) {
	t.Parallel()
	eachStatus(t, func(w *world, code Ydb.StatusIds_StatusCode) {
		s, f := frontScene(w, time.Second)
		f.each(func(r *relay) { r.fail(code) })
		if slices.Contains(finals, code) {
			s.requireEnd(0, tenure.ErrSessionExpired)
			require.True(w, ydb.IsOperationError(context.Cause(s.lease.Context()), code))

			return
		}
		s.requireLife()
	})
}

// If every stream fails as soon as it is attached, the session stays alive, and the client opens no more streams than
// its rate limit allows.
func TestStatus_RepeatedFailures(t *testing.T) {
	inWorld(t, func(w *world) {
		s, f := frontScene(w, tenure.MinSessionTimeout) // the pauses alone would allow 40 streams per second
		f.onResult(func(r *relay, m *pb.SessionResponse) bool {
			if m.GetSessionStarted() == nil {
				return m != nil
			}
			r.say(m)
			r.fail(Ydb.StatusIds_UNAVAILABLE)

			return false
		})
		before := w.opened()
		s.session.Reconnect()
		s.lives(s.lease, 30*time.Second)
		require.Greater(w, w.opened()-before, 10*30, "streams did not fail")
	})
}

// withStatus changes the status of the result m and returns it. It returns nil if m is not a result.
func withStatus(m *pb.SessionResponse, code Ydb.StatusIds_StatusCode) *pb.SessionResponse {
	issues := []*Ydb_Issue.IssueMessage{{Message: "says the front"}}
	switch m := m.GetResponse().(type) {
	case *pb.SessionResponse_DescribeSemaphoreResult_:
		m.DescribeSemaphoreResult.Status, m.DescribeSemaphoreResult.Issues = code, issues
	case *pb.SessionResponse_AcquireSemaphoreResult_:
		m.AcquireSemaphoreResult.Status, m.AcquireSemaphoreResult.Issues = code, issues
	case *pb.SessionResponse_ReleaseSemaphoreResult_:
		m.ReleaseSemaphoreResult.Status, m.ReleaseSemaphoreResult.Issues = code, issues
	case *pb.SessionResponse_CreateSemaphoreResult_:
		m.CreateSemaphoreResult.Status, m.CreateSemaphoreResult.Issues = code, issues
	case *pb.SessionResponse_UpdateSemaphoreResult_:
		m.UpdateSemaphoreResult.Status, m.UpdateSemaphoreResult.Issues = code, issues
	case *pb.SessionResponse_DeleteSemaphoreResult_:
		m.DeleteSemaphoreResult.Status, m.DeleteSemaphoreResult.Issues = code, issues
	default:
		return nil
	}

	return m
}

// answerAll returns a hook that gives every result the status and counts the results.
func answerAll(code Ydb.StatusIds_StatusCode, count *int) func(*relay, *pb.SessionResponse) bool {
	return func(_ *relay, m *pb.SessionResponse) bool {
		if other := withStatus(m, code); other != nil {
			*count++
		}

		return true
	}
}

// A call returns an error for the status of its result, and the SDK's error checks recognise it. The session stays
// alive unless the status concerns the session itself.
func TestStatus_OfResult(t *testing.T) {
	t.Parallel()
	calls := map[string]func(*tenure.Session, context.Context) error{
		"create semaphore": func(s *tenure.Session, ctx context.Context) error { return s.CreateSemaphore(ctx, "x", 1) },
		"update semaphore": func(s *tenure.Session, ctx context.Context) error { return s.UpdateSemaphore(ctx, "x") },
		"delete semaphore": func(s *tenure.Session, ctx context.Context) error { return s.DeleteSemaphore(ctx, "x") },
		"describe semaphore": func(s *tenure.Session, ctx context.Context) error {
			_, err := s.DescribeSemaphore(ctx, "x")

			return err
		},
		"acquire semaphore": func(s *tenure.Session, ctx context.Context) error {
			_, err := s.AcquireSemaphore(ctx, "x", 1, options.WithEphemeral(true))

			return err
		},
	}
	eachStatus(t, func(w *world, code Ydb.StatusIds_StatusCode) {
		for op, call := range calls {
			c, f := w.behind()
			s := w.session(c, time.Minute)
			var answers int
			f.onResult(answerAll(code, &answers))
			ctx, cancel := context.WithTimeout(w.Context(), 10*time.Second)
			err := call(s, ctx)
			cancel()
			synctest.Wait()
			switch code {
			case Ydb.StatusIds_SESSION_EXPIRED:
				require.ErrorIs(w, err, tenure.ErrSessionExpired)
				if changes := errors.Is(err, coordination.ErrOperationStatusUnknown); !changes {
					require.ErrorIs(w, err, tenure.ErrSessionClosed, "the SDK's error for a session that has ended")
				}
				require.Error(w, s.Context().Err())
			case Ydb.StatusIds_BAD_SESSION: // concerns the stream, not the call
				if op == "create semaphore" || op == "delete semaphore" {
					require.ErrorContains(w, err, "operation status is unknown")
				} else {
					require.ErrorIs(w, err, context.DeadlineExceeded)
				}
			case Ydb.StatusIds_OVERLOADED: // the call was not carried out, and is repeated
				require.EqualError(w, err, op+` "x": context deadline exceeded`)
				require.Greater(w, answers, 3)
				require.NoError(w, s.Context().Err())
			default:
				require.True(w, ydb.IsOperationError(err, code))
				require.EqualError(w, err, fmt.Sprintf("%s \"x\": %v: says the front%s", op, code, remedy(code)))
				require.NoError(w, s.Context().Err())
			}
			f.onResult(nil)
		}
	})
}

// remedy is the end of the text of an error with this status.
func remedy(code Ydb.StatusIds_StatusCode) string {
	if code == Ydb.StatusIds_UNAUTHORIZED {
		return ": check the credentials, their rights and the path"
	}

	return ""
}

// proofs are the statuses that only the node itself gives.
var proofs = []Ydb.StatusIds_StatusCode{
	Ydb.StatusIds_ALREADY_EXISTS, Ydb.StatusIds_PRECONDITION_FAILED, Ydb.StatusIds_ABORTED,
}

// A refused renewal proves nothing unless the node itself has refused it. The client then attaches again, which is a
// proof, unless it lacks the right to read. It does not send renewals more often than usual.
func TestStatus_OfRenewal(t *testing.T) {
	t.Parallel()
	eachStatus(t, func(w *world, code Ydb.StatusIds_StatusCode) {
		s, f := frontScene(w, time.Second)
		var answers int
		f.onResult(answerAll(code, &answers))
		defer f.onResult(nil)
		switch {
		case code == Ydb.StatusIds_NOT_FOUND:
			took, why := s.ends(s.lease)
			require.LessOrEqual(w, took, s.timeout/4)
			require.ErrorIs(w, why, tenure.ErrSemaphoreDeleted)
			require.NoError(w, s.session.Context().Err())
		case code == Ydb.StatusIds_SESSION_EXPIRED:
			s.requireEnd(s.timeout/4, tenure.ErrSessionExpired)
		case code == Ydb.StatusIds_UNAUTHORIZED: // another stream would not prove more
			opened := w.opened()
			s.requireEnd(core.Believed(s.timeout), tenure.ErrSessionExpired)
			require.EqualError(w, context.Cause(s.lease.Context()), fmt.Sprintf("the server refuses to continue the session: "+
				"renew leases on node %q: UNAUTHORIZED (says the front): check the credentials, their rights and the path", path))
			require.Equal(w, opened, w.opened())
		case slices.Contains(proofs, code):
			s.lives(s.lease, 3*s.timeout)
		default:
			s.lives(s.lease, 3*s.timeout)
			synctest.Wait()
			require.LessOrEqual(w, answers, 3*5, "renewals")
			f.onResult(func(_ *relay, m *pb.SessionResponse) bool {
				withStatus(m, code)

				return m.GetSessionStarted() == nil
			})
			took, why := s.ends(s.lease)
			require.LessOrEqual(w, took, core.Believed(s.timeout))
			require.ErrorIs(w, why, tenure.ErrDeadlinePassed)
		}
	})
}

// A front server that is cut off from the node keeps sending and answering pings, while the node treats the session as
// detached. The lease ends in time.
func TestFront_CutOffFromNode(t *testing.T) {
	inWorld(t, func(w *world) {
		s, f := frontScene(w, time.Second)
		f.cutOff()
		s.requireEnd(core.Believed(s.timeout), tenure.ErrDeadlinePassed)
	})
}

// clockThatDrifts is a lease clock that runs at 99% of the node's rate.
type clockThatDrifts struct{ clock.Clock }

func (c clockThatDrifts) Now() clock.Instant    { return c.Clock.Now()/100*99 + 1 }
func (c clockThatDrifts) NewTimer() clock.Timer { return timerThatDrifts{c.Clock.NewTimer()} }

type timerThatDrifts struct{ clock.Timer }

// Set rounds up, so that the clock has reached the instant when the timer fires.
func (t timerThatDrifts) Set(now, at clock.Instant) { t.Timer.Set(now, now+((at-now)/99+1)*100) }

// The worst case: the node starts the timeout at the instant of its last answer, and the client's clock is as slow as
// permitted. The lease still ends before the rival is granted.
func TestFront_SlowClock(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{tenure.MinSessionTimeout, tenure.DefaultSessionTimeout} {
		t.Run(timeout.String(), func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				c, f := w.behind(clockThatDrifts{clock.Go()})
				l := w.hold(w.session(c, timeout))
				rival := w.rival()
				w.lives(l, 2*timeout)
				renewed := make(chan time.Time, 1)
				f.onResult(func(r *relay, m *pb.SessionResponse) bool {
					if m.GetDescribeSemaphoreResult() == nil {
						return true
					}
					r.say(m)
					renewed <- time.Now()
					f.cutOff()

					return false
				})
				at := <-renewed
				_, why := w.ends(l)
				require.ErrorIs(w, why, tenure.ErrDeadlinePassed)
				require.Greater(w, time.Since(at), core.Believed(timeout), "the client's clock is slow")
				w.granted(rival)
				require.Equal(w, timeout, time.Since(at))
			})
		})
	}
}

// A late answer proves nothing about the time that it was under way. The node may have started the timeout as soon as
// it had answered.
func TestFront_LastAnswerIsLate(t *testing.T) {
	t.Parallel()
	for name, is := range map[string]func(*pb.SessionResponse) bool{
		"renewal": func(m *pb.SessionResponse) bool { return m.GetDescribeSemaphoreResult() != nil },
		"attach":  func(m *pb.SessionResponse) bool { return m.GetSessionStarted() != nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				s, f := frontScene(w, time.Second)
				given := make(chan time.Time, 1)
				f.onResult(func(r *relay, m *pb.SessionResponse) bool {
					if !is(m) {
						return true
					}
					given <- time.Now()
					r.leave() // the node sees the stream end at the instant of its answer
					time.Sleep(s.timeout * 24 / 100)
					r.say(m)
					f.cutOff()

					return false
				})
				if name == "attach" {
					s.session.Reconnect()
				}
				at := <-given
				s.requireEnd(core.Believed(s.timeout), tenure.ErrDeadlinePassed)
				require.LessOrEqual(w, time.Since(at), s.timeout+time.Second+time.Millisecond, "requireEnd takes 1s of it")
			})
		})
	}
}

// If a front server loses results and nothing else, attaching again keeps the session alive. If it also loses the
// answers to attaches, the lease ends.
func TestFront_LosesResults(t *testing.T) {
	inWorld(t, func(w *world) {
		s, f := frontScene(w, time.Second)
		f.onResult(func(_ *relay, m *pb.SessionResponse) bool { return m.GetDescribeSemaphoreResult() == nil })
		s.lives(s.lease, 10*s.timeout) // attaching again is also a proof
		f.onResult(func(_ *relay, m *pb.SessionResponse) bool {
			return m.GetDescribeSemaphoreResult() == nil && m.GetSessionStarted() == nil
		})
		took, why := s.ends(s.lease)
		require.LessOrEqual(w, took, core.Believed(s.timeout))
		require.ErrorIs(w, why, tenure.ErrDeadlinePassed)
	})
}

// Old answers that a front server repeats prove nothing.
func TestFront_RepeatsAnswers(t *testing.T) {
	inWorld(t, func(w *world) {
		s, f := frontScene(w, time.Second)
		var old *pb.SessionResponse
		f.onResult(func(r *relay, m *pb.SessionResponse) bool {
			switch {
			case m.GetDescribeSemaphoreResult() == nil:
			case old == nil:
				old = m
			default:
				r.say(old)

				return false
			}

			return m.GetSessionStarted() == nil
		})
		_, why := s.ends(s.lease)
		require.ErrorIs(w, why, tenure.ErrDeadlinePassed)
		s.granted(s.rival)
		require.NotNil(w, old)
	})
}

// thief attaches to the session that the front server has seen last, as another process with its key could.
func (f *front) thief(w *world, seq uint64) *pb.SessionResponse {
	f.mu.Lock()
	start := &pb.SessionRequest_SessionStart{
		Path: path, SessionId: f.start.GetSessionId(), SeqNo: f.start.GetSeqNo() + seq,
		TimeoutMillis: f.start.GetTimeoutMillis(), ProtectionKey: f.start.GetProtectionKey(),
	}
	f.mu.Unlock()
	stream, err := f.node.Session(w.Context())
	require.NoError(w, err)
	require.NoError(w, stream.Send(&pb.SessionRequest{Request: &pb.SessionRequest_SessionStart_{SessionStart: start}}))
	m, err := stream.Recv()
	require.NoError(w, err)
	go func() {
		for err == nil {
			_, err = stream.Recv()
		}
	}()

	return m
}

// When another stream with the same sequence number takes the session over, the client takes it back, every time.
func TestFront_StreamsRace(t *testing.T) {
	inWorld(t, func(w *world) {
		s, f := frontScene(w, time.Second)
		s.session.Reconnect() // the front server learns the session's id
		s.lives(s.lease, s.timeout)
		for range 50 {
			require.NotNil(w, f.thief(w, 0).GetSessionStarted())
			s.lives(s.lease, 90*time.Millisecond)
		}
		s.requireLife()
	})
}

// A stream with a higher sequence number keeps the session. The client learns that it has lost the session.
func TestFront_SessionIsStolen(t *testing.T) {
	inWorld(t, func(w *world) {
		s, f := frontScene(w, time.Second)
		s.session.Reconnect()
		s.lives(s.lease, s.timeout)
		require.NotNil(w, f.thief(w, 1000).GetSessionStarted())
		took, why := s.ends(s.lease)
		require.LessOrEqual(w, took, 100*time.Millisecond)
		require.ErrorIs(w, why, tenure.ErrSessionExpired)
		require.True(w, ydb.IsOperationError(why, Ydb.StatusIds_BAD_SESSION))
	})
}
