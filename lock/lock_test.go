package lock_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tenure/internal/bubbletest"
	"tenure/internal/coordtest"
	"tenure/lock"
)

const (
	path    = "/local/test"
	name    = "lock"
	timeout = 10 * time.Second
)

// soon is longer than any exchange of messages takes, and much shorter than a session's timeout.
const soon = 50 * time.Millisecond

// A runner is a call of lock.Elect.
type runner struct {
	stop   context.CancelCauseFunc
	done   chan error    // the result of Elect
	linger time.Duration // how long work continues after its context has ended

	mu     sync.Mutex
	events []lock.Event
	began  []time.Time // when work was called
	ended  []error     // the causes of the end of the context of work
}

// start calls lock.Elect with work that returns when linger has passed since its context ended.
func start(t *testing.T, service coordination.Client, linger time.Duration, opts ...lock.Option) *runner {
	t.Helper()
	r := &runner{linger: linger}
	r.run(t.Context(), service, func(ctx context.Context) error {
		<-ctx.Done()
		r.mu.Lock()
		r.ended = append(r.ended, context.Cause(ctx))
		r.mu.Unlock()
		time.Sleep(linger)

		return nil
	}, opts...)

	return r
}

// run calls lock.Elect with the work.
func (r *runner) run(
	ctx context.Context, service coordination.Client, work func(context.Context) error, opts ...lock.Option,
) {
	ctx, stop := context.WithCancelCause(ctx)
	r.stop, r.done = stop, make(chan error, 1)
	opts = append(opts, lock.WithObserver(func(e lock.Event) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if _, ok := e.(lock.Leader); ok {
			return // TestElect_Leader looks at these
		}
		r.events = append(r.events, e)
	}))
	go func() {
		r.done <- lock.Elect(ctx, service, path, name, func(ctx context.Context, _ *lock.Held) error {
			r.mu.Lock()
			r.began = append(r.began, time.Now())
			r.mu.Unlock()

			return work(ctx)
		}, opts...)
	}()
}

// working waits until all goroutines are idle and returns how often work has been called.
func (r *runner) working() int {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()

	return len(r.began)
}

// session returns the id of the runner's newest session.
func (r *runner) session() uint64 {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	var id uint64
	for _, e := range r.events {
		if e, ok := e.(lock.Waiting); ok {
			id = e.Session
		}
	}

	return id
}

// story returns the kinds of the events so far.
func (r *runner) story() string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	var words []string
	for _, e := range r.events {
		switch e := e.(type) {
		case lock.Waiting:
			if e.Holders != nil {
				break // refreshed
			}
			words = append(words, "waiting")
		case lock.Acquired:
			words = append(words, "acquired")
		case lock.Danger:
			words = append(words, "danger")
		case lock.Safe:
			words = append(words, "safe")
		case lock.Lost:
			words = append(words, "lost")
		case lock.Released:
			words = append(words, "released")
		case lock.Retry:
			words = append(words, "retry")
		case lock.NoSession:
			words = append(words, "no-session")
		}
	}

	return strings.Join(words, " ")
}

// end stops the runner and returns the result of Elect. It fails the test if Elect does not return soon.
func (r *runner) end(t *testing.T) error {
	t.Helper()
	r.stop(errStopped)
	time.Sleep(r.linger + soon)
	synctest.Wait()
	select {
	case err := <-r.done:
		return err
	default:
		require.FailNow(t, "Elect has not returned")

		return nil
	}
}

var errStopped = errors.New("stopped by the test")

func TestElect_HandsOverImmediately(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		first := start(t, service, 0)
		time.Sleep(soon)
		second := start(t, service, 0)
		time.Sleep(time.Hour)
		require.Equal(t, 1, first.working())
		require.Zero(t, second.working())

		require.NoError(t, first.end(t), "Elect returns the result of work")
		require.Equal(t, []error{errStopped}, first.ended)
		require.Equal(t, "waiting acquired released", first.story())
		require.Equal(t, 1, second.working())
		require.NoError(t, second.end(t))
		require.Zero(t, service.Owner(path, name))
	})
}

func TestElect_ReturnsResultOfWork(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, want := range []error{nil, broken} {
		bubbletest.Test(t, func(t *testing.T) {
			service := coordtest.NewService()
			var r runner
			r.run(t.Context(), service, func(context.Context) error { return want })
			require.Equal(t, want, <-r.done)
			require.Equal(t, "waiting acquired released", r.story())
			require.Zero(t, service.Owner(path, name), "Elect releases the lock before it returns")
		})
	}
}

func TestElect_ReturnsErrorOfStoppedWork(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		var r runner
		r.run(t.Context(), coordtest.NewService(), func(ctx context.Context) error { <-ctx.Done(); return broken })
		time.Sleep(soon)
		require.Equal(t, broken, r.end(t))
	})
}

func TestElect_LostWhileWorking(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		unplugged := errors.New("unplugged")
		first := start(t, service, 3*time.Second)
		time.Sleep(soon)
		second := start(t, service, 0)
		time.Sleep(time.Minute)

		lostAt := time.Now()
		require.True(t, service.Break(first.session(), unplugged))
		synctest.Wait()
		require.Equal(t, "waiting acquired lost", first.story(), "reported while work continues")
		require.Len(t, first.ended, 1)
		require.ErrorIs(t, first.ended[0], lock.ErrLost)
		require.ErrorIs(t, first.ended[0], unplugged)

		time.Sleep(2 * time.Second)
		require.Equal(t, "waiting acquired lost", first.story(), "Elect waits for work to return")
		time.Sleep(2 * time.Second)
		require.Equal(t, "waiting acquired lost retry waiting", first.story())
		time.Sleep(time.Minute)
		require.Equal(t, 1, second.working())
		require.Equal(t, timeout, second.began[0].Sub(lostAt).Round(soon), "not before the session times out")

		require.NoError(t, second.end(t))
		require.Equal(t, 2, first.working(), "the first runner waits for the lock again")
		require.NoError(t, first.end(t))
	})
}

func TestElect_IgnoresResultAfterLoss(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		var r runner
		runs := 0
		r.run(t.Context(), service, func(context.Context) error {
			runs++
			if runs == 1 {
				service.Break(r.events[0].(lock.Waiting).Session, errors.New("unplugged"))
				time.Sleep(time.Second)

				return errors.New("ignored, because the lock was lost before work returned")
			}

			return nil
		})
		require.NoError(t, <-r.done)
		require.Equal(t, 2, runs)
	})
}

func TestElect_LostWhileWaiting(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		first := start(t, service, 0)
		time.Sleep(soon)
		second := start(t, service, 0)
		time.Sleep(soon)
		require.True(t, service.Break(second.session(), errors.New("unplugged")))
		time.Sleep(soon)
		require.Equal(t, "waiting retry waiting", second.story())

		time.Sleep(timeout) // the dead session leaves the queue
		require.True(t, service.Break(second.session(), errors.New("unplugged")))
		time.Sleep(soon)
		require.Equal(t, "waiting retry waiting retry waiting", second.story(), "without a pause")
		time.Sleep(timeout)
		require.NoError(t, first.end(t))
		require.Equal(t, 1, second.working())
		require.NoError(t, second.end(t))
	})
}

func TestElect_StoppedWhileWaiting(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		first := start(t, service, 0)
		time.Sleep(soon)
		second := start(t, service, 0)
		time.Sleep(soon)
		third := start(t, service, 0)
		time.Sleep(soon)

		require.Equal(t, errStopped, second.end(t))
		require.Equal(t, "waiting", second.story())
		require.NoError(t, first.end(t))
		require.Equal(t, 1, third.working(), "the session of the second runner does not block the queue")
		require.NoError(t, third.end(t))
	})
}

// The test ends ctx at many moments before, during and after the grant. Elect always leaves the lock free.
func TestElect_StoppedDuringGrant(t *testing.T) {
	t.Parallel()
	for step := range 200 {
		after := time.Duration(step/2) * 100 * time.Microsecond
		bubbletest.Test(t, func(t *testing.T) {
			service := coordtest.NewService()
			service.Late = step%2 == 1
			r := start(t, service, 0)
			time.Sleep(after)
			if err := r.end(t); err != nil {
				require.Equal(t, errStopped, err)
				require.Contains(t, []string{"", "waiting"}, r.story(), "Acquired comes before Released")
			} else {
				require.Equal(t, "waiting acquired released", r.story())
			}
			require.Zero(t, service.Owner(path, name))
			next := start(t, service, 0)
			time.Sleep(soon)
			require.Equal(t, 1, next.working())
			require.NoError(t, next.end(t))
		})
	}
}

func TestElect_StoppedWithoutAServer(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"DescribeNode", "Session"} {
		bubbletest.Test(t, func(t *testing.T) {
			service := coordtest.NewService()
			service.SetFault(failing(call, errors.New("no route to host")))
			r := start(t, service, 0)
			time.Sleep(time.Minute)
			require.Equal(t, errStopped, r.end(t))
			require.Zero(t, r.working())
		})
	}
}

func TestElect_ReleaseWithoutAServer(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		r := start(t, service, 0)
		time.Sleep(soon)
		service.SetDelay(func() time.Duration { return time.Hour })
		r.stop(errStopped)
		began := time.Now()
		require.NoError(t, <-r.done)
		require.LessOrEqual(t, time.Since(began), 5*time.Second)
		require.Equal(t, "waiting acquired released", r.story())
		require.Error(t, r.events[2].(lock.Released).Err)
	})
}

func TestElect_PausesAfterFirstRetry(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		down := errors.New("no route to host")
		service.SetFault(failing("DescribeNode", down))
		r := start(t, service, 0)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		var pauses []time.Duration
		for _, e := range r.events {
			retry, ok := e.(lock.Retry)
			if !ok {
				continue
			}
			require.ErrorIs(t, retry.Err, down)
			pauses = append(pauses, retry.After)
		}
		require.Zero(t, pauses[0])
		require.Greater(t, len(pauses), 5)
		for _, p := range pauses[1:] {
			require.Greater(t, p, 10*time.Millisecond)
			require.Less(t, p, 10*time.Second)
		}
		require.Greater(t, pauses[5], 4*pauses[1]/3, "pauses grow")

		service.SetFault(func(string) error { return nil })
		time.Sleep(10 * time.Second)
		require.Equal(t, 1, r.working())
		require.NoError(t, r.end(t))
	})
}

func TestElect_SessionThatDoesNotStart(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		service.SetFault(failing("Session", errors.New("no route to host")))
		r := start(t, service, 0)
		time.Sleep(11 * time.Second)
		require.Equal(t, "no-session retry", r.story())
		const why = `the server answers, but does not start a session on node "/local/test", and this client does not ` +
			"report why: check the right to use the node, and the log of the server"
		require.EqualError(t, r.events[0].(lock.NoSession).Err, why)
		require.EqualError(t, r.events[1].(lock.Retry).Err, why)
		service.SetFault(func(string) error { return nil })
		time.Sleep(soon)
		require.Equal(t, 1, r.working())
		require.NoError(t, r.end(t))
	})
}

func TestElect_ReturnsPermanentErrors(t *testing.T) {
	t.Parallel()
	answer := func(code Ydb.StatusIds_StatusCode) error { return &coordtest.StatusError{Status: code, Text: "no"} }
	for _, test := range []struct {
		name, call string
		answer     error
		reveal     bool
		opts       []lock.Option
		want       string
	}{
		{
			name: "no right to look up the node", call: "DescribeNode", answer: answer(Ydb.StatusIds_UNAUTHORIZED),
			want: `look up node "/local/test": UNAUTHORIZED (no): check the credentials, their rights and the path`,
		},
		{
			name: "token was withdrawn", call: "DescribeNode", answer: status.Error(codes.Unauthenticated, "unknown token"),
			want: `look up node "/local/test": unknown token: check the credentials`,
		},
		{
			name: "no right to create the node", call: "CreateNode", answer: answer(Ydb.StatusIds_UNAUTHORIZED),
			want: `create node "/local/test": UNAUTHORIZED (no): check the credentials, their rights and the path`,
		},
		{
			name: "path is not a node", call: "CreateNode", answer: answer(Ydb.StatusIds_SCHEME_ERROR),
			want: `create node "/local/test": SCHEME_ERROR (no)`,
		},
		{
			name: "outside the database", call: "DescribeNode", answer: answer(Ydb.StatusIds_BAD_REQUEST),
			want: `look up node "/local/test": BAD_REQUEST (no)`,
		},
		{
			name: "missing node with WithoutCreate", opts: []lock.Option{lock.WithoutCreate()},
			want: `node "/local/test" does not exist: create it first, or leave out WithoutCreate (--no-create)`,
		},
		{
			name: "refused, without a status", call: "AcquireSemaphore", answer: answer(Ydb.StatusIds_UNAUTHORIZED),
			want: `acquire semaphore "lock" on node "/local/test": the server refuses: ` +
				`check the right to write to the node`,
		},
		{
			name: "refused, with a status", call: "AcquireSemaphore", reveal: true,
			answer: answer(Ydb.StatusIds_UNAUTHORIZED),
			want: `acquire semaphore "lock" on node "/local/test": UNAUTHORIZED (no): ` +
				`check the credentials, their rights and the path`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bubbletest.Test(t, func(t *testing.T) {
				service := coordtest.NewService()
				service.Reveal = test.reveal
				service.SetFault(failing(test.call, test.answer))
				r := start(t, service, 0, test.opts...)
				require.EqualError(t, <-r.done, test.want)
				require.Zero(t, r.working())
				require.NotContains(t, r.story(), "retry")
				require.LessOrEqual(t, service.Calls("Session"), 1)
			})
		})
	}
}

func TestElect_PersistentSemaphore(t *testing.T) {
	t.Parallel()
	for _, reveal := range []bool{false, true} {
		bubbletest.Test(t, func(t *testing.T) {
			service := coordtest.NewService()
			service.Reveal = reveal
			first := start(t, service, 0)
			time.Sleep(soon)
			require.NoError(t, first.end(t))
			service.CreatePersistent(path, name, 3)

			second := start(t, service, 0)
			err := <-second.done
			require.ErrorContains(t, err, `acquire semaphore "lock" on node "/local/test": `)
			require.ErrorContains(t, err, "and one without a limit is needed")
			if reveal {
				_, ok := errors.AsType[*coordtest.StatusError](err)
				require.True(t, ok, "the error wraps that of the client")
			}
			require.Equal(t, 1, service.Calls("AcquireSemaphore")-1)
		})
	}
}

func TestElect_RefusedTemporarily(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		refused := 0
		service.SetFault(func(call string) error {
			if call == "AcquireSemaphore" && refused < 2 {
				refused++

				return &coordtest.StatusError{Status: Ydb.StatusIds_OVERLOADED, Text: "not now"}
			}

			return nil
		})
		r := start(t, service, 0)
		time.Sleep(time.Second)
		require.Equal(t, 1, r.working())
		require.Equal(t, 2, refused)
		require.NoError(t, r.end(t))
	})
}

func TestElect_NoConcurrentEvents(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		ctx, stop := context.WithCancel(t.Context())
		busy, story := false, 0
		err := lock.Elect(ctx, service, path, name, func(ctx context.Context, _ *lock.Held) error {
			<-ctx.Done()

			return nil
		}, lock.WithObserver(func(e lock.Event) {
			require.False(t, busy)
			busy = true
			time.Sleep(time.Second)
			busy = false
			story++
			switch e := e.(type) {
			case lock.Acquired:
				time.AfterFunc(time.Second, func() { service.Break(e.Session, errors.New("unplugged")) })
			case lock.Retry:
				stop()
			}
		}))
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, 6, story, "waiting acquired leader lost leader retry")
	})
}

func TestElect_ReleasesOnPanic(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		service := coordtest.NewService()
		require.PanicsWithValue(t, "oh", func() {
			_ = lock.Elect(t.Context(), service, path, name, func(context.Context, *lock.Held) error { panic("oh") })
		})
		require.Zero(t, service.Owner(path, name))
	})
}

func TestElect_Arguments(t *testing.T) {
	t.Parallel()
	work := func(context.Context, *lock.Held) error { return nil }
	long := strings.Repeat("x", 1<<20+1)
	for _, test := range []struct {
		name, path, semaphore string
		work                  func(context.Context, *lock.Held) error
		opt                   lock.Option
		want                  string
	}{
		{"no work", path, name, nil, nil, `lock "lock": the work is nil`},
		{"no name", path, "", work, nil, `lock "": the semaphore name is empty`},
		{"relative path", "test", name, work, nil, `lock "lock": the node path "test" is not absolute: ` +
			`it must begin with the database, e.g. /local/tenure`},
		{
			"short timeout", path, name, work, lock.WithTimeout(time.Millisecond),
			`lock "lock": the timeout 1ms is out of range: it must be between 100ms and 30m0s`,
		},
		{
			"long timeout", path, name, work, lock.WithTimeout(time.Hour),
			`lock "lock": the timeout 1h0m0s is out of range: it must be between 100ms and 30m0s`,
		},
		{
			"long description", path, name, work, lock.WithDescription(long),
			`lock "lock": the description has 1048577 bytes: the limit is 1024`,
		},
		{
			"negative grace", path, name, work, lock.WithGrace(-1),
			`lock "lock": the grace -1ns is out of range: it must be between 0 and a third of the timeout, which is 10s`,
		},
		{
			"long grace", path, name, work, lock.WithGrace(timeout/3 + 1),
			`lock "lock": the grace 3.333333334s is out of range: it must be between 0 and a third of the timeout, which is 10s`,
		},
		{
			"long data", path, name, work, lock.WithData([]byte(long)),
			`lock "lock": the data has 1048577 bytes: the limit is 1048576`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			opts := []lock.Option{lock.WithoutCreate()}
			if test.opt != nil {
				opts = append(opts, test.opt)
			}
			service := coordtest.NewService()
			require.EqualError(t, lock.Elect(t.Context(), service, test.path, test.semaphore, test.work, opts...), test.want)
			require.Zero(t, service.Calls("DescribeNode"))
		})
	}
}

// failing returns a fault that makes calls of one method fail with err.
func failing(call string, err error) func(string) error {
	return func(called string) error {
		if called == call {
			return err
		}

		return nil
	}
}
