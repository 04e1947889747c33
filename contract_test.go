package tenure_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
)

// The tests in this file check what the documentation of package coordination in ydb-go-sdk promises, in the order of
// that documentation. The quotations are from there. The tests of Close are in close_test.go.

var ephemeral = options.WithEphemeral(true)

// acquires starts an acquire in a new goroutine, waits until it has been sent and returns a channel for its outcome.
func acquires(
	ctx context.Context, s *tenure.Session, name string, count uint64, opts ...options.AcquireSemaphoreOption,
) <-chan outcome {
	c := make(chan outcome, 1)
	go func() {
		l, err := s.AcquireSemaphore(ctx, name, count, opts...)
		c <- outcome{l, err}
	}()
	synctest.Wait()

	return c
}

type outcome struct {
	lease coordination.Lease
	err   error
}

// requireWaits requires that the acquire is still waiting.
func requireWaits(t *testing.T, c <-chan outcome) {
	t.Helper()
	synctest.Wait()
	select {
	case o := <-c:
		require.Fail(t, "the acquire should wait, but it has returned", "%v %v", o.lease, o.err)
	default:
	}
}

func (w *world) describe(s *tenure.Session, name string) *coordination.SemaphoreDescription {
	w.Helper()
	d, err := s.DescribeSemaphore(w.Context(), name, options.WithDescribeOwners(true), options.WithDescribeWaiters(true))
	require.NoError(w, err)

	return d
}

// "If the method completes successfully, the session remains alive even if the context is canceled."
func TestContract_SessionOutlivesContextOfCall(t *testing.T) {
	inWorld(t, func(w *world) {
		c, _ := w.far()
		ctx, cancel := context.WithCancel(w.Context())
		s, err := c.Session(ctx, path, options.WithSessionTimeout(time.Second))
		require.NoError(w, err)
		cancel()
		w.lives(w.hold(s.(*tenure.Session)), 5*time.Second)
	})
}

// "call any method of the Session until the ErrSessionClosed is returned". inWorld checks that no goroutine is left
// then.
func TestContract_MethodsOfSessionThatIsOver(t *testing.T) {
	inWorld(t, func(w *world) {
		c, n := w.far()
		s := w.session(c, time.Second)
		l := w.hold(s)
		n.up.darken()
		for {
			_, err := s.DescribeSemaphore(w.Context(), "job")
			if errors.Is(err, coordination.ErrSessionClosed) {
				break
			}
		}
		n.up.lighten()
		for _, err := range []error{
			s.CreateSemaphore(w.Context(), "x", 1), s.UpdateSemaphore(w.Context(), "x"),
			s.DeleteSemaphore(w.Context(), "x"), l.Release(),
		} {
			require.ErrorIs(w, err, coordination.ErrSessionClosed)
			require.ErrorIs(w, err, tenure.ErrDeadlinePassed)
			require.NotErrorIs(w, err, coordination.ErrOperationStatusUnknown, "the call was not sent")
		}
		_, err := s.AcquireSemaphore(w.Context(), "x", 1)
		require.ErrorIs(w, err, coordination.ErrSessionClosed)
		_, err = l.Token(w.Context())
		require.ErrorIs(w, err, coordination.ErrSessionClosed)
		s.Reconnect()
		require.NoError(w, s.Close(w.Context()))
	})
}

// "you can safely access all of its methods concurrently"
func TestContract_SessionIsConcurrencyFriendly(t *testing.T) {
	inWorld(t, func(w *world) {
		c, _ := w.far()
		s := w.session(c, time.Second)
		var working sync.WaitGroup
		for i := range 16 {
			name := fmt.Sprint(i % 4)
			working.Go(func() {
				for range 20 {
					l, err := s.AcquireSemaphore(w.Context(), name, 1, ephemeral)
					if err != nil {
						continue // another goroutine has acquired the same name
					}
					_, _ = l.(*tenure.Lease).Token(w.Context())
					_, _ = l.(*tenure.Lease).Valid(), l.(*tenure.Lease).Deadline()
					_, _ = s.DescribeSemaphore(w.Context(), name)
					_ = l.Release()
				}
			})
			working.Go(func() {
				for range 5 {
					time.Sleep(time.Second)
					s.Reconnect()
					_ = s.SessionID()
				}
			})
		}
		working.Wait()
		require.NoError(w, s.Context().Err())
		require.NoError(w, s.Close(w.Context()))
	})
}

// "sequential calls of the methods are sent to the server in the same order". This holds for a new stream as well.
func TestContract_OrderOfCallsIsOrderOnTheWire(t *testing.T) {
	inWorld(t, func(w *world) {
		c, f := w.behind()
		s := w.session(c, time.Minute)
		var names []string
		f.onRequest(func(_ *relay, m *pb.SessionRequest) bool {
			if u := m.GetUpdateSemaphore(); u != nil {
				names = append(names, u.GetName())
			}

			return m.GetSessionStart() != nil // the node receives no call
		})
		var want []string
		for i := range 100 {
			name := fmt.Sprint(i)
			want = append(want, name)
			go func() { _ = s.UpdateSemaphore(w.Context(), name) }()
			synctest.Wait()
		}
		require.Equal(w, want, names)
		names = nil
		s.Reconnect()
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(w, want, names)
	})
}

// "The client automatically keeps the underlying gRPC stream alive". Even without calls, the session keeps its stream.
func TestContract_StreamIsKeptAlive(t *testing.T) {
	inWorld(t, func(w *world) {
		c, f := w.behind()
		s := w.session(c, tenure.MinSessionTimeout)
		f.onRequest(func(_ *relay, m *pb.SessionRequest) bool { return m.GetSessionStart() == nil })
		w.lives(w.hold(s), 100*tenure.MinSessionTimeout)
	})
}

// CreateSemaphore, DeleteSemaphore: "If the request has been sent to the server but no reply has been received, it
// returns the ErrOperationStatusUnknown error." A request that was not sent before the stream broke is sent later.
func TestContract_CreateAndDeleteOfUnknownOutcome(t *testing.T) {
	inWorld(t, func(w *world) {
		c, f := w.behind()
		s := w.session(c, time.Minute)
		f.onResult(func(r *relay, m *pb.SessionResponse) bool {
			if m.GetCreateSemaphoreResult() == nil && m.GetDeleteSemaphoreResult() == nil {
				return true
			}
			r.end()

			return false
		})
		require.ErrorIs(w, s.CreateSemaphore(w.Context(), "x", 1), coordination.ErrOperationStatusUnknown)
		require.NotNil(w, w.describe(s, "x"))
		require.ErrorIs(w, s.DeleteSemaphore(w.Context(), "x"), coordination.ErrOperationStatusUnknown)
		f.onResult(nil)
		_, err := s.DescribeSemaphore(w.Context(), "x")
		require.True(w, ydb.IsOperationErrorNotFoundError(err))

		s.Reconnect()
		require.NoError(w, s.CreateSemaphore(w.Context(), "x", 1), "the request waits until there is a stream")
	})
}

// UpdateSemaphore, DescribeSemaphore, AcquireSemaphore, Release: "The client will automatically retry".
func TestContract_OthersAreRetried(t *testing.T) {
	inWorld(t, func(w *world) {
		c, f := w.behind()
		s := w.session(c, time.Minute)
		require.NoError(w, s.CreateSemaphore(w.Context(), "x", 1))
		var lost int
		f.onResult(func(r *relay, m *pb.SessionResponse) bool {
			if withStatus(m, Ydb.StatusIds_SUCCESS) == nil {
				return true
			}
			if lost++; lost%3 != 0 {
				r.end()

				return false
			}

			return true
		})
		require.NoError(w, s.UpdateSemaphore(w.Context(), "x", options.WithUpdateData([]byte("data"))))
		require.Equal(w, "data", string(w.describe(s, "x").Data))
		l, err := s.AcquireSemaphore(w.Context(), "x", 1)
		require.NoError(w, err)
		require.NoError(w, l.Release())
		require.Empty(w, w.describe(s, "x").Owners)
		synctest.Wait()
		require.Equal(w, 15, lost, "five calls, each of which got its third answer")
	})
}

// DescribeSemaphore "returns the state of the semaphore", with every field set.
func TestContract_Description(t *testing.T) {
	inWorld(t, func(w *world) {
		c, _ := w.far()
		owner, waiter, patient := w.session(c, time.Minute), w.session(c, time.Minute), w.session(c, time.Minute)
		require.NoError(w, owner.CreateSemaphore(w.Context(), "x", 5, options.WithCreateData([]byte("data"))))
		_, err := owner.AcquireSemaphore(w.Context(), "x", 3, options.WithAcquireData([]byte("mine")))
		require.NoError(w, err)
		acquires(w.Context(), waiter, "x", 4, options.WithAcquireTimeout(time.Hour))
		acquires(w.Context(), patient, "x", 1, options.WithAcquireInfiniteTimeout())
		d := w.describe(owner, "x")
		require.Len(w, d.Owners, 1)
		d.Owners[0].Timeout = 0 // has no meaning for an owner
		require.Equal(w, &coordination.SemaphoreDescription{
			Name: "x", Limit: 5, Count: 3, Data: []byte("data"),
			Owners: []*coordination.SemaphoreSession{{
				SessionID: owner.SessionID(), Count: 3, OrderID: 1, Data: []byte("mine"),
			}},
			Waiters: []*coordination.SemaphoreSession{
				{SessionID: waiter.SessionID(), Count: 4, OrderID: 2, Timeout: time.Hour},
				{SessionID: patient.SessionID(), Count: 1, OrderID: 3, Timeout: math.MaxInt64},
			},
		}, d)
		bare, err := owner.DescribeSemaphore(w.Context(), "x")
		require.NoError(w, err)
		require.Empty(w, bare.Owners)
		require.Empty(w, bare.Waiters)
	})
}

// "If you acquire an ephemeral semaphore, its limit will be set to MaxSemaphoreLimit."
func TestContract_Ephemeral(t *testing.T) {
	inWorld(t, func(w *world) {
		c, _ := w.far()
		s := w.session(c, time.Minute)
		l := w.hold(s)
		d := w.describe(s, "job")
		require.True(w, d.Ephemeral)
		require.Equal(w, uint64(coordination.MaxSemaphoreLimit), d.Limit)
		require.NoError(w, l.Release())
		_, err := s.DescribeSemaphore(w.Context(), "job")
		require.True(w, ydb.IsOperationErrorNotFoundError(err), "it is deleted with its last lease")
	})
}

// "Later requests override previous operations with the same semaphore, e.g. to reduce acquired count, change timeout
// or attached data." If the session owns the semaphore, its lease stays the same.
func TestContract_OwnerReducesCount(t *testing.T) {
	inWorld(t, func(w *world) {
		c, _ := w.far()
		s, other := w.session(c, time.Minute), w.session(c, time.Minute)
		require.NoError(w, s.CreateSemaphore(w.Context(), "x", 3))
		l, err := s.AcquireSemaphore(w.Context(), "x", 3)
		require.NoError(w, err)
		waiting := acquires(w.Context(), other, "x", 2)
		requireWaits(t, waiting)
		less, err := s.AcquireSemaphore(w.Context(), "x", 1, options.WithAcquireData([]byte("new")))
		require.NoError(w, err)
		require.Same(w, l, less)
		require.NoError(w, (<-waiting).err)
		require.Equal(w, "new", string(w.describe(s, "x").Owners[0].Data))
		_, err = s.AcquireSemaphore(w.Context(), "x", 2)
		require.True(w, ydb.IsOperationError(err, Ydb.StatusIds_BAD_REQUEST), "%v", err)
		require.NoError(w, l.Context().Err())
	})
}

// If the session waits for the semaphore, the earlier call returns an error, and "the position in the queue remains
// unchanged".
func TestContract_WaiterAsksAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		c, _ := w.far()
		holder, first, second := w.session(c, time.Minute), w.session(c, time.Minute), w.session(c, time.Minute)
		l := w.hold(holder)
		early := acquires(w.Context(), first, "job", 5, ephemeral)
		behind := acquires(w.Context(), second, "job", coordination.Exclusive, ephemeral)
		again := acquires(w.Context(), first, "job", 2, ephemeral, options.WithAcquireData([]byte("new")))
		err := (<-early).err
		require.True(w, ydb.IsOperationError(err, Ydb.StatusIds_ABORTED))
		require.EqualError(w, err, `acquire semaphore "job": ABORTED: Operation superseded by another request`)
		d := w.describe(holder, "job")
		require.Equal(w, first.SessionID(), d.Waiters[0].SessionID)
		require.EqualValues(w, 2, d.Waiters[0].Count)
		require.Equal(w, "new", string(d.Waiters[0].Data))
		require.NoError(w, l.Release())
		require.NoError(w, (<-again).err)
		requireWaits(t, behind)
	})
}

// "This method blocks until the semaphore is acquired, an error is returned from the server or the session is closed."
// ErrAcquireTimeout: "could not acquire the semaphore before the operation timeout".
func TestContract_AcquireTimeout(t *testing.T) {
	inWorld(t, func(w *world) {
		c, _ := w.far()
		l := w.hold(w.session(c, time.Minute))
		s := w.session(c, time.Minute)
		for _, timeout := range []time.Duration{0, time.Second, time.Minute} {
			from := time.Now()
			_, err := s.AcquireSemaphore(w.Context(), "job", 1, ephemeral, options.WithAcquireTimeout(timeout))
			require.ErrorIs(w, err, coordination.ErrAcquireTimeout)
			require.ErrorContains(w, err, `"job"`)
			require.Equal(w, timeout, time.Since(from))
		}
		require.NoError(w, l.Context().Err())
	})
}

// "If the operation context was canceled but the server replied that the semaphore was actually acquired, the client
// will automatically release the semaphore." A waiting acquire leaves the queue. In both cases, the release is sent
// before the next call.
func TestContract_AcquireWhoseContextEnds(t *testing.T) {
	for name, end := range map[string]func(*front, context.CancelFunc, coordination.Lease){
		"while it waits": func(_ *front, cancel context.CancelFunc, _ coordination.Lease) { cancel() },
		"while the grant is on its way": func(f *front, cancel context.CancelFunc, held coordination.Lease) {
			f.onResult(func(_ *relay, m *pb.SessionResponse) bool {
				if m.GetAcquireSemaphoreResult().GetAcquired() {
					cancel()
					time.Sleep(time.Millisecond)
				}

				return true
			})
			_ = held.Release()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				c, f := w.behind()
				direct := w.client(w.direct())
				holder := w.session(direct, time.Minute)
				l := w.hold(holder)
				s := w.session(c, time.Minute)
				ctx, cancel := context.WithCancel(w.Context())
				defer cancel()
				waiting := acquires(ctx, s, "job", coordination.Exclusive, ephemeral)
				requireWaits(t, waiting)
				behind := acquires(w.Context(), w.session(direct, time.Minute), "job", coordination.Exclusive, ephemeral)
				end(f, cancel, l)
				require.ErrorIs(w, (<-waiting).err, context.Canceled)
				_ = l.Release()
				next := <-behind
				require.NoError(w, next.err)
				f.onResult(nil)
				require.Len(w, w.describe(holder, "job").Owners, 1)
				require.Empty(w, w.describe(holder, "job").Waiters)
				require.NoError(w, next.lease.Release())
				again, err := s.AcquireSemaphore(w.Context(), "job", coordination.Exclusive, ephemeral)
				require.NoError(w, err)
				w.lives(again.(*tenure.Lease), time.Minute)
			})
		})
	}
}

// "Semaphore waiting is fair"
func TestContract_WaitingIsFair(t *testing.T) {
	inWorld(t, func(w *world) {
		c, _ := w.far()
		l := coordination.Lease(w.hold(w.session(c, time.Minute)))
		var waiting []<-chan outcome
		for range 10 {
			s := w.session(c, time.Minute)
			waiting = append(waiting, acquires(w.Context(), s, "job", coordination.Exclusive, ephemeral))
		}
		for i, next := range waiting {
			require.NoError(w, l.Release())
			o := <-next
			require.NoError(w, o.err)
			l = w.saw(o.lease)
			token, err := o.lease.(*tenure.Lease).Token(w.Context())
			require.NoError(w, err)
			require.EqualValues(w, i+2, token, "fencing tokens grow with each grant")
		}
	})
}

// SessionID "is permanent and unique within the coordination service node".
func TestContract_SessionID(t *testing.T) {
	inWorld(t, func(w *world) {
		c, _ := w.far()
		s, other := w.session(c, time.Minute), w.session(c, time.Minute)
		id := s.SessionID()
		require.NotZero(w, id)
		require.NotEqual(w, id, other.SessionID())
		s.Reconnect()
		w.stop()
		w.start()
		w.hold(s)
		require.Equal(w, id, s.SessionID())
		require.NoError(w, s.Close(w.Context()))
		require.Equal(w, id, s.SessionID())
	})
}

// Reconnect "forcibly shuts down the underlying gRPC stream and initiates a new one"
func TestContract_Reconnect(t *testing.T) {
	inWorld(t, func(w *world) {
		c, f := w.behind()
		s := w.session(c, time.Minute)
		l := w.hold(s)
		time.Sleep(time.Second)
		var started int
		f.onRequest(func(_ *relay, m *pb.SessionRequest) bool {
			if m.GetSessionStart() != nil {
				started++
			}

			return true
		})
		from := time.Now()
		s.Reconnect()
		w.describe(s, "job")
		synctest.Wait()
		require.Equal(w, 1, started)
		require.Zero(w, time.Since(from))
		require.True(w, l.Valid())
	})
}

// The documentation of Lease: "Context ... is canceled when ... the lease was released", "Release ... also cancels the
// context of the lease", "you can cancel the execution of it by closing the session", and Session "returns the session
// which this lease was created by".
func TestContract_Lease(t *testing.T) {
	inWorld(t, func(w *world) {
		c, n := w.far()
		s := w.session(c, time.Minute)
		l := w.hold(s)
		require.Same(w, s, l.Session())
		require.WithinDuration(w, time.Now().Add(time.Minute), l.Deadline(), 2*time.Second)
		n.up.darken()
		released := make(chan error, 1)
		go func() { released <- l.Release() }()
		synctest.Wait()
		require.ErrorIs(w, context.Cause(l.Context()), tenure.ErrLeaseReleased, "the server has not answered yet")
		require.False(w, l.Valid())
		require.Zero(w, l.Deadline())
		_, _ = w.closing(s, 0)
		require.ErrorIs(w, <-released, coordination.ErrSessionClosed)
		n.up.lighten()
	})
}

// The client uses its own default timeout instead of the SDK's 5 seconds, and refuses values that are out of range.
func TestContract_SessionOptions(t *testing.T) {
	inWorld(t, func(w *world) {
		c, f := w.behind()
		s, err := c.Session(w.Context(), path, options.WithDescription("who I am"), nil)
		require.NoError(w, err)
		f.mu.Lock()
		require.Equal(w, "who I am", f.start.GetDescription())
		require.EqualValues(w, 10_000, f.start.GetTimeoutMillis())
		require.Len(w, f.start.GetProtectionKey(), 16)
		f.mu.Unlock()
		require.NoError(w, s.Close(w.Context()))
		for _, bad := range []options.SessionOption{
			options.WithSessionTimeout(0), options.WithSessionTimeout(time.Hour), options.WithSessionStartTimeout(-1),
			options.WithSessionKeepAliveTimeout(0), options.WithSessionReconnectDelay(0),
		} {
			_, err := c.Session(w.Context(), path, bad)
			require.ErrorContains(w, err, path)
		}
	})
}
