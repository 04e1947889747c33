package lock_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tenure/internal/bubbletest"
	"tenure/internal/coordtest"
	"tenure/lock"
)

const (
	silence = "no answer from the server: check that it runs and can be reached"
	refusal = "cannot connect to the server (dial tcp 127.0.0.1:1: connect: connection refused): check that it runs"
)

var errRefused = status.Error(codes.Unavailable,
	`connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"`)

// delays returns the NoSession events so far.
func (r *runner) delays() []lock.NoSession {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []lock.NoSession
	for _, e := range r.events {
		if e, ok := e.(lock.NoSession); ok {
			found = append(found, e)
		}
	}

	return found
}

// requireDelay checks the number of NoSession events so far and the contents of the newest one.
func (r *runner) requireDelay(t *testing.T, n int, without time.Duration, why string) {
	t.Helper()
	delays := r.delays()
	require.Len(t, delays, n)
	require.EqualError(t, delays[n-1].Err, why)
	require.InDelta(t, without, delays[n-1].For, float64(soon))
}

// Elect reports the reason after 3 s, even if an attempt takes longer, and reports it again only when it changes.
func TestElect_NoSession(t *testing.T) {
	t.Parallel()
	overloaded := &coordtest.StatusError{Status: Ydb.StatusIds_OVERLOADED, Text: "too many requests"}
	for _, test := range []struct {
		name, call string
		fault      error
		want       string
	}{
		{"connection refused, and the client returns the error", "DescribeNode", errRefused, refusal},
		{"connection refused, and the client keeps trying", "DescribeNode", coordtest.Stalled{Last: errRefused}, refusal},
		{"no answer", "DescribeNode", coordtest.Stalled{}, silence},
		{"no answer to the creation of the node", "CreateNode", coordtest.Stalled{}, silence},
		{"refused temporarily", "DescribeNode", overloaded, `look up node "/local/test": OVERLOADED (too many requests)`},
		{
			"the session does not start", "Session", errors.New("no"), "the server answers, but does not start a session " +
				`on node "/local/test", and this client does not report why: check the right to use the node, and the log of ` +
				"the server",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bubbletest.Test(t, func(t *testing.T) {
				service := coordtest.NewService()
				service.SetFault(failing(test.call, test.fault))
				r := start(t, service, 0)
				time.Sleep(3*time.Second - time.Nanosecond)
				require.Empty(t, r.delays())
				time.Sleep(soon)
				r.requireDelay(t, 1, 3*time.Second, test.want)
				time.Sleep(time.Hour)
				r.requireDelay(t, 1, 3*time.Second, test.want)

				service.SetFault(func(call string) error {
					if call == "Session" {
						return test.fault // otherwise the attempt that is running would get a session now
					}

					return &coordtest.StatusError{Status: Ydb.StatusIds_TIMEOUT, Text: "slow"}
				})
				time.Sleep(time.Minute)
				require.Len(t, r.delays(), 2)
				require.EqualError(t, r.delays()[1].Err, `look up node "/local/test": TIMEOUT (slow)`)
				require.Greater(t, r.delays()[1].For, time.Hour)

				service.SetFault(func(string) error { return nil })
				time.Sleep(10 * time.Second)
				require.Equal(t, 1, r.working())
				require.NoError(t, r.end(t))
			})
		})
	}
}

// The time without a session starts from zero each time a session is lost.
func TestElect_NoSessionAfterALoss(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		r := start(t, service, 0)
		time.Sleep(time.Hour)
		service.SetFault(failing("DescribeNode", coordtest.Stalled{}))
		require.True(t, service.Break(r.session(), errors.New("unplugged")))
		time.Sleep(3*time.Second - time.Nanosecond)
		require.Equal(t, "waiting acquired lost retry", r.story())
		time.Sleep(soon)
		require.Equal(t, "waiting acquired lost retry no-session", r.story())
		r.requireDelay(t, 1, 3*time.Second, silence)

		service.SetFault(func(string) error { return nil })
		time.Sleep(time.Minute)
		require.Equal(t, 2, r.working())
		service.SetFault(failing("DescribeNode", coordtest.Stalled{}))
		require.True(t, service.Break(r.session(), errors.New("unplugged")))
		time.Sleep(4 * time.Second)
		r.requireDelay(t, 2, 3*time.Second, silence)
		require.Equal(t, errStopped, r.end(t))
	})
}

// Elect reports neither a wait for the lock nor a time without a session that is shorter than 3 s.
func TestElect_NoSessionIsNotReported(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		service.SetFault(failing("DescribeNode", errRefused))
		first := start(t, service, 0)
		time.Sleep(300 * time.Millisecond) // the pause at that moment ends within 600 ms
		service.SetFault(func(string) error { return nil })
		time.Sleep(time.Second)
		require.Equal(t, 1, first.working())
		second := start(t, service, 0)
		time.Sleep(time.Hour)
		require.Empty(t, first.delays())
		require.Equal(t, "waiting", second.story())
		require.NoError(t, first.end(t))
		require.NoError(t, second.end(t))
	})
}
