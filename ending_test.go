package tenure_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"

	"tenure"
	"tenure/internal/clientconfig"
)

// end ends a session of another client.
func (w *world) end(by, of *tenure.Session) error {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 5*time.Second)
	defer cancel()

	return clientconfig.FromContext(by.Context()).End(ctx, of.SessionID(), clientconfig.FromContext(of.Context()).Key())
}

// The end of another session hands its semaphores over immediately, and its client cannot attach to it again.
func TestEnd(t *testing.T) {
	inWorld(t, func(w *world) {
		c, n := w.far()
		s := w.session(c, time.Minute)
		l := w.hold(s)
		n.up.darken() // as if the process was dead
		by := w.session(w.client(w.direct()), time.Minute)
		rival := w.session(w.client(w.direct()), time.Minute)
		from := time.Now()
		_, err := w.closing(s, 0)
		require.Error(w, err, "the server does not hear of it")
		require.NoError(w, w.end(by, s))
		w.hold(rival)
		require.Zero(w, time.Since(from))
		require.Error(w, l.Context().Err())
		require.NoError(w, w.end(by, s), "the session does not exist any longer")
		n.up.lighten()
	})
}

// The end of a session with a wrong key fails, and the session lives on.
func TestEnd_WrongKey(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.session(w.client(w.direct()), time.Second)
		l := w.hold(s)
		by := w.session(w.client(w.direct()), time.Second)
		err := clientconfig.FromContext(by.Context()).End(w.Context(), s.SessionID(), []byte("wrong"))
		var status *tenure.StatusError
		require.ErrorAs(w, err, &status)
		require.Equal(w, Ydb.StatusIds_BAD_SESSION, status.Status)
		w.lives(l, 5*time.Second)
	})
}

// End waits for a server that is away until its context ends.
func TestEnd_Unreachable(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.session(w.client(w.direct()), time.Minute)
		c, n := w.far()
		by := w.session(c, time.Minute)
		n.refuse.Store(true)
		n.cut()
		from := time.Now()
		require.ErrorIs(w, w.end(by, s), context.DeadlineExceeded)
		require.Equal(w, 5*time.Second, time.Since(from))
	})
}

// lose stops the server until the session with the timeout is lost. It returns the lease that the session had.
func (w *world) lose(s *tenure.Session) *tenure.Lease {
	w.Helper()
	l := w.hold(s)
	w.stop()
	_, why := w.ends(l)
	require.ErrorIs(w, why, tenure.ErrDeadlinePassed)

	return l
}

// rivalWithin requires that another session gets the semaphore within the given time, and returns how long it took.
func (w *world) rivalWithin(limit time.Duration) {
	w.Helper()
	from := time.Now()
	rival := w.session(w.client(w.direct()), time.Minute)
	w.hold(rival)
	require.LessOrEqual(w, time.Since(from), limit)
}

// The server is away for longer than the session timeout. The client ends the session that it has lost as soon as the
// server is back. Otherwise the server would keep the session for its timeout and the grace period.
func TestEnding_ServerAway(t *testing.T) {
	for _, away := range []time.Duration{0, 10 * time.Second, 10 * time.Minute} {
		t.Run(away.String(), func(t *testing.T) {
			inWorld(t, func(w *world) {
				s := w.session(w.client(w.direct()), 5*time.Second)
				w.lose(s)
				require.NoError(w, s.Close(w.Context()), "Close does not wait for the server")
				time.Sleep(away)
				w.start()
				w.rivalWithin(time.Second)
			})
		})
	}
}

// A lost session is not ended before it is closed, because code may still work under it.
func TestEnding_WaitsForClose(t *testing.T) {
	inWorld(t, func(w *world) {
		c := w.client(w.direct())
		s := w.session(c, 5*time.Second)
		w.lose(s)
		w.start()
		own := w.session(c, 5*time.Second)
		rival := w.rival()
		time.Sleep(4 * time.Second)
		left, ok := clientconfig.FromContext(own.Context()).GivenUp(s.SessionID())
		require.True(w, ok)
		require.Equal(w, 5*time.Second+30*time.Second-4*time.Second, left, "the grace period is not known")
		require.Empty(w, rival)
		require.NoError(w, s.Close(w.Context()))
		synctest.Wait()
		require.Len(w, rival, 1)
		_, ok = clientconfig.FromContext(own.Context()).GivenUp(s.SessionID())
		require.False(w, ok)
	})
}

// If Close cannot reach the server, the client keeps trying to end the session.
func TestEnding_AfterClose(t *testing.T) {
	for name, limit := range map[string]time.Duration{"context": time.Second, "deadline": time.Hour} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				s := w.session(w.client(w.direct()), 20*time.Second)
				w.hold(s)
				w.stop()
				_, err := w.closing(s, limit)
				if limit < time.Minute {
					require.ErrorIs(w, err, context.DeadlineExceeded)
				} else {
					require.NoError(w, err)
				}
				time.Sleep(time.Minute)
				w.start()
				w.rivalWithin(time.Second)
			})
		})
	}
}

// A client that is closed makes a last attempt to end the sessions that it has lost, whether they are closed or not.
func TestEnding_ClientIsClosed(t *testing.T) {
	for _, closed := range []bool{true, false} {
		t.Run(fmt.Sprint(closed), func(t *testing.T) {
			inWorld(t, func(w *world) {
				c := w.client(w.direct())
				s := w.session(c, 5*time.Second)
				w.lose(s)
				w.start()
				time.Sleep(time.Second) // for the connection
				if closed {
					require.NoError(w, s.Close(w.Context()))
				}
				require.NoError(w, c.Close(w.Context()))
				w.rivalWithin(0)
			})
		})
	}
}

// A client whose server is away can be closed. It does not wait for the server.
func TestEnding_ClientIsClosedWithoutServer(t *testing.T) {
	for name, limit := range map[string]time.Duration{"away": 100 * time.Millisecond, "dark": time.Second} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				c, n := w.far()
				s := w.session(c, 5*time.Second)
				w.hold(s)
				darkness["both"](n, (*lane).darken)
				<-s.Context().Done()
				require.NoError(w, s.Close(w.Context()))
				if name == "away" {
					n.refuse.Store(true)
					n.cut()
				}
				time.Sleep(10 * time.Second)
				from := time.Now()
				require.NoError(w, c.Close(w.Context()))
				require.LessOrEqual(w, time.Since(from), limit)
				darkness["both"](n, (*lane).lighten)
			})
		})
	}
}

// A session that another client has taken over is not ended.
func TestEnding_NotIfStolen(t *testing.T) {
	inWorld(t, func(w *world) {
		s, f := frontScene(w, time.Second)
		s.session.Reconnect() // the front server learns the session's id
		s.lives(s.lease, s.timeout)
		require.NotNil(w, f.thief(w, 1000).GetSessionStarted())
		_, why := s.ends(s.lease)
		require.ErrorIs(w, why, tenure.ErrSessionExpired)
		opened := w.opened()
		require.NoError(w, s.session.Close(w.Context()))
		time.Sleep(500 * time.Millisecond)
		require.Equal(w, opened, w.opened())
		require.Empty(w, s.rival)
		s.granted(s.rival) // the thief answers no pings
	})
}

// A session whose attach is refused may live on. The client ends it when the refusal has passed.
func TestEnding_Refused(t *testing.T) {
	inWorld(t, func(w *world) {
		c, f := w.behind()
		s := w.session(c, time.Minute)
		l := w.hold(s)
		rival := w.rival()
		var allowed atomic.Bool
		f.onRequest(func(r *relay, m *pb.SessionRequest) bool {
			if m.GetSessionStart() == nil || allowed.Load() {
				return true
			}
			r.say(&pb.SessionResponse{Response: &pb.SessionResponse_Failure_{
				Failure: &pb.SessionResponse_Failure{Status: Ydb.StatusIds_UNAUTHORIZED},
			}})
			r.end()

			return false
		})
		s.Reconnect()
		w.lives(l, 10*time.Second)
		closing := time.Now()
		require.NoError(w, s.Close(w.Context()))
		require.Less(w, time.Since(closing), time.Second)
		time.Sleep(10 * time.Second)
		require.Empty(w, rival)
		allowed.Store(true)
		time.Sleep(1500 * time.Millisecond)
		require.Len(w, rival, 1)
	})
}
