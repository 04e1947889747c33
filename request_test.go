package tenure_test

import (
	"context"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"
	"google.golang.org/grpc"

	"tenure"
)

// Texts and data that no server can read.
const badText = "a\xffb"

var (
	hugeText = strings.Repeat("x", 5<<20)
	hugeData = []byte(hugeText)
)

// calls returns a function for each exported method of the client and the session that takes a string, by the method's
// name. It finds them by reflection, so that no new method is forgotten. The methods of the client need not reach a
// server.
func calls(c *tenure.Client, s *tenure.Session) map[string]func(ctx context.Context, text string) error {
	all := make(map[string]func(context.Context, string) error)
	for _, receiver := range []any{c, s} {
		v := reflect.ValueOf(receiver)
		for i := range v.NumMethod() {
			method := v.Method(i)
			for in := range method.Type().Ins() {
				if in.Kind() == reflect.String {
					all[v.Type().Method(i).Name] = func(ctx context.Context, text string) error {
						return call(ctx, method, text)
					}
				}
			}
		}
	}

	return all
}

// call calls a method and passes text for each string. It returns the error of the method, or the first error of the
// iterator that the method returns.
func call(ctx context.Context, method reflect.Value, text string) error {
	var args []reflect.Value
	for i := range method.Type().NumIn() {
		switch in := method.Type().In(i); {
		case method.Type().IsVariadic() && i == method.Type().NumIn()-1:
		case in.Kind() == reflect.String:
			args = append(args, reflect.ValueOf(text))
		case in == reflect.TypeFor[context.Context]():
			args = append(args, reflect.ValueOf(ctx))
		case in.Kind() == reflect.Uint64:
			args = append(args, reflect.ValueOf(uint64(1)))
		default:
			args = append(args, reflect.Zero(in))
		}
	}
	results := method.Call(args)
	last := results[len(results)-1]
	if last.Kind() == reflect.Func {
		for _, e := range last.Seq2() {
			last = e

			break
		}
	}
	err, _ := reflect.TypeAssert[error](last)

	return err
}

// undisturbed runs f with a session that holds a lease. It requires that f takes no time, that the lease stays valid
// and that f opens no stream, so that the session still uses the same one.
func undisturbed(t *testing.T, f func(context.Context, *world, *tenure.Client, *tenure.Session)) {
	t.Helper()
	inWorld(t, func(w *world) {
		c := w.client(w.direct())
		s := w.session(c, 10*time.Second)
		l := w.hold(s)
		streams := w.opened()
		from := time.Now()
		ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
		defer cancel()
		f(ctx, w, c, s)
		require.Zero(w, time.Since(from), "a refusal must not take time")
		w.lives(l, time.Minute)
		require.NoError(w, l.Release())
		require.Equal(w, streams, w.opened(), "streams were opened")
	})
}

func requireRefused(t require.TestingT, err error, text string) {
	require.True(t, ydb.IsOperationError(err, Ydb.StatusIds_BAD_REQUEST), "%.1000v", err)
	require.ErrorContains(t, err, text)
	require.Less(t, len(err.Error()), 1000)
}

func TestRequest_TextThatIsNotUTF8(t *testing.T) {
	undisturbed(t, func(ctx context.Context, w *world, c *tenure.Client, s *tenure.Session) {
		all := calls(c, s)
		for _, name := range []string{"Session", "DropNode", "AcquireSemaphore", "WatchSemaphore"} {
			require.Contains(w, all, name)
		}
		require.Len(w, all, 11)
		for name, call := range all {
			err := call(ctx, badText)
			require.Error(w, err, name)
			requireRefused(w, err, `"a\xffb": BAD_REQUEST: the `)
			requireRefused(w, err, " is not valid UTF-8: convert text to UTF-8")
		}
		_, err := c.Session(ctx, path, options.WithDescription(badText))
		requireRefused(w, err, `open session on node "/local/test": BAD_REQUEST: the description is not valid UTF-8`)
		err = c.CreateNode(ctx, path, coordination.NodeConfig{Path: badText})
		requireRefused(w, err, `create node "/local/test": BAD_REQUEST: the path is not valid UTF-8`)
		_, err = s.AcquireSemaphore(ctx, "x", 1, func(m *pb.SessionRequest_AcquireSemaphore) { m.Name = badText })
		requireRefused(w, err, `acquire semaphore "x": BAD_REQUEST: the name is not valid UTF-8`)
	})
}

func TestRequest_DataNeedNotBeText(t *testing.T) {
	undisturbed(t, func(ctx context.Context, w *world, _ *tenure.Client, s *tenure.Session) {
		require.NoError(w, s.CreateSemaphore(ctx, "x", 1, options.WithCreateData([]byte(badText))))
		require.NoError(w, s.UpdateSemaphore(ctx, "x", options.WithUpdateData([]byte(badText+"2"))))
		_, err := s.AcquireSemaphore(ctx, "x", 1, options.WithAcquireData([]byte(badText)))
		require.NoError(w, err)
	})
}

func TestRequest_TooLarge(t *testing.T) {
	undisturbed(t, func(ctx context.Context, w *world, c *tenure.Client, s *tenure.Session) {
		const tooLarge = "BAD_REQUEST: the request has 5242"
		for name, call := range calls(c, s) {
			err := call(ctx, hugeText)
			require.Error(w, err, name)
			requireRefused(w, err, tooLarge)
			requireRefused(w, err, `xxx"... (5242880 bytes): `)
		}
		_, err := c.Session(ctx, path, options.WithDescription(hugeText))
		requireRefused(w, err, tooLarge)
		_, err = s.AcquireSemaphore(ctx, "x", 1, options.WithAcquireData(hugeData))
		requireRefused(w, err, tooLarge)
		requireRefused(w, s.CreateSemaphore(ctx, "x", 1, options.WithCreateData(hugeData)), tooLarge)
		requireRefused(w, s.UpdateSemaphore(ctx, "job", options.WithUpdateData(hugeData)), tooLarge)
	})
}

// The client sends every request that a server can read, and leaves it to the server to apply its limits.
func TestRequest_ServerRefusesWhatItCanRead(t *testing.T) {
	undisturbed(t, func(ctx context.Context, w *world, _ *tenure.Client, s *tenure.Session) {
		for size := 4<<20 - 200; size < 4<<20; size += 13 { // up to the largest request that the client sends
			requireRefused(w, s.UpdateSemaphore(ctx, "job", options.WithUpdateData(hugeData[:size])), "BAD_REQUEST")
		}
		requireRefused(w, s.CreateSemaphore(ctx, hugeText[:1<<20], 1), `... (1048576 bytes): BAD_REQUEST: Semaphore name`)
		requireRefused(w, s.CreateSemaphore(ctx, "x", 1, options.WithCreateData(hugeData[:2<<20])), "Semaphore data")
		_, err := s.AcquireSemaphore(ctx, "x", 1, ephemeral, options.WithAcquireData(hugeData[:2<<20]))
		requireRefused(w, err, "Acquire data is too large")
	})
}

// The client sends large requests even if the driver has a lower limit for messages, which would end the stream.
func TestRequest_DriverThatSendsLess(t *testing.T) {
	inWorld(t, func(w *world) {
		c := w.client(connect(w.T, func(ctx context.Context, _ string) (net.Conn, error) { return w.accept(ctx) },
			grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(1<<10))))
		s := w.session(c, 10*time.Second)
		l := w.hold(s)
		ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
		defer cancel()
		require.NoError(w, s.UpdateSemaphore(ctx, "job", options.WithUpdateData(hugeData[:1<<20])))
		w.lives(l, time.Minute)
		require.Equal(w, 1, w.opened())
	})
}

// An answer that is larger than the client accepts ends the stream. The client does not repeat such a request forever,
// neither a call of the user nor a renewal.
func TestRequest_AnswerTooLarge(t *testing.T) {
	inWorld(t, func(w *world) {
		c, f := w.behind()
		s := w.session(c, 10*time.Second)
		l := w.hold(s)
		other, err := s.AcquireSemaphore(w.Context(), "other", 1, ephemeral)
		require.NoError(w, err)
		huge := make([]byte, 65<<20)
		f.onResult(func(_ *relay, m *pb.SessionResponse) bool {
			if d := m.GetDescribeSemaphoreResult().GetSemaphoreDescription(); d.GetName() == "job" && len(d.GetOwners()) > 0 {
				d.Data = huge
			}

			return true
		})
		ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
		defer cancel()
		_, err = s.DescribeSemaphore(ctx, "job", options.WithDescribeOwners(true))
		require.ErrorContains(w, err, `describe semaphore "job": the answer cannot be received: `)
		require.ErrorContains(w, err, "larger than max")
		require.Less(w, w.opened(), 6)

		w.lives(l, time.Minute)
		require.NoError(w, other.Context().Err())
		streams := w.opened()
		w.lives(l, time.Minute)
		require.Equal(w, streams, w.opened(), "renewals end streams")
		require.NoError(w, s.CreateSemaphore(w.Context(), "x", 1))
	})
}
