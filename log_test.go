package tenure_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
	"tenure/internal/clock"
	core "tenure/internal/session"
)

// logged returns a client behind a separate network that logs to the handler.
func (w *world) logged(h slog.Handler) (*tenure.Client, *network) {
	n := newNetwork(w.T)
	c := tenure.NewClient(nil, w.count(connect(w.T, n.dial(w.accept))), clock.Go(), tenure.WithLogger(slog.New(h)))
	w.Cleanup(func() { _ = c.Close(context.WithoutCancel(w.Context())) })

	return c, n
}

// lines is a handler that collects the records, without their times.
type lines struct {
	slog.Handler // nil: the tests do not call its methods

	mu   sync.Mutex // guards text
	text []string
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	line := fmt.Sprint(r.Level, " ", r.Message)
	r.Attrs(func(a slog.Attr) bool {
		line += fmt.Sprint(" ", a)

		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, line)

	return nil
}

// Each event in the life of a session is logged, with its cause and the time since the last proof.
func TestLog_LifeOfSessions(t *testing.T) {
	inWorld(t, func(w *world) {
		var log lines
		c, n := w.logged(&log)
		require.NoError(w, w.session(c, time.Minute).Close(w.Context()))
		s := w.session(c, 10*time.Second)
		require.NoError(w, s.CreateSemaphore(w.Context(), "x", 1))
		l, err := s.AcquireSemaphore(w.Context(), "x", 1)
		require.NoError(w, err)
		require.NoError(w, s.DeleteSemaphore(w.Context(), "x", options.WithForceDelete(true)))
		_, _ = l.(*tenure.Lease).Token(w.Context())
		time.Sleep(time.Second)
		s.Reconnect()
		time.Sleep(time.Second)
		darkness["both"](n, (*lane).darken)
		<-s.Context().Done()
		require.NoError(w, s.Close(w.Context()))
		darkness["both"](n, (*lane).lighten)
		time.Sleep(time.Second)
		_, err = c.Session(w.Context(), "/local/none")
		require.Error(w, err)
		require.NoError(w, c.Close(w.Context()))
		synctest.Wait() // the log is written in the background

		log.mu.Lock()
		defer log.mu.Unlock()
		require.Equal(w, []string{
			"INFO session started node=/local/test session=1",
			"INFO session closed node=/local/test session=1",
			"INFO session started node=/local/test session=2",
			`WARN lease ended before release semaphore=x cause=semaphore deleted node=/local/test session=2`,
			"WARN stream lost cause=the program called Reconnect since_proof=1s node=/local/test session=2",
			"INFO session reattached node=/local/test session=2",
		}, log.text[:6])
		over := "WARN session ended cause=no answer from the server before the session deadline " +
			"since_proof=9.7s node=/local/test session=2"
		require.Equal(w, 10*time.Second*97/100, core.Believed(10*time.Second))
		require.Contains(w, log.text, over)
		require.Contains(w, log.text, "INFO lost session ended on the server node=/local/test session=2")
		refused := log.text[len(log.text)-1]
		require.Contains(w, refused, `cause=session expired: attach to node "/local/none": the node does not exist`)
		require.Contains(w, refused, "DEBUG session ended", "the call has returned the reason")
	})
}

// stuck is a handler that blocks until the test releases it.
type stuck struct {
	lines
	release chan struct{}
}

func (s *stuck) Handle(context.Context, slog.Record) error {
	<-s.release

	return nil
}

// A log handler that blocks delays neither sessions nor leases.
func TestLog_StuckHandler(t *testing.T) {
	inWorld(t, func(w *world) {
		h := &stuck{release: make(chan struct{})}
		defer close(h.release)
		c, n := w.logged(h)
		s := w.session(c, time.Second)
		l := w.hold(s)
		rival := w.rival()
		for range 3 * 64 { // more than the client buffers
			s.Reconnect()
			w.lives(l, 100*time.Millisecond)
		}
		darkness["both"](n, (*lane).darken)
		took, why := w.ends(l)
		require.LessOrEqual(w, took, core.Believed(time.Second))
		require.ErrorIs(w, why, tenure.ErrDeadlinePassed)
		w.granted(rival)
		darkness["both"](n, (*lane).lighten)
	})
}
