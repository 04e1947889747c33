package tenure_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
	"tenure/tenuretest"
)

// BenchmarkAcquireRelease acquires and releases one lease at a time, while the same session waits for a number of other
// semaphores. The server runs in the same process, so the allocations are those of both.
func BenchmarkAcquireRelease(b *testing.B) {
	for name, client := range map[string]struct {
		open func(*ydb.Driver) coordination.Client
		most int // outstanding acquires; the SDK's client takes minutes to queue more than this
		opts []ydb.Option
	}{
		"tenure": {
			func(db *ydb.Driver) coordination.Client { return tenure.New(db) }, 100_000,
			[]ydb.Option{tenure.WithFixedWindows()}, // as Open does
		},
		"ydb-go-sdk": {(*ydb.Driver).Coordination, 10_000, nil},
	} {
		for _, outstanding := range []int{1, 1_000, 10_000, 100_000} {
			b.Run(fmt.Sprintf("%s/outstanding=%d", name, outstanding), func(b *testing.B) {
				if outstanding > client.most {
					b.Skipf("a call of this client costs more with each outstanding one: %d take too long", outstanding)
				}
				benchmarkAcquireRelease(b, client.open, outstanding, client.opts...)
			})
		}
	}
}

func benchmarkAcquireRelease(
	b *testing.B, open func(*ydb.Driver) coordination.Client, outstanding int, opts ...ydb.Option,
) {
	b.Helper()
	srv := tenuretest.NewServer(b)
	ctx := b.Context()
	db, err := ydb.Open(ctx, srv.DSN(), append(opts, ydb.WithAnonymousCredentials())...)
	require.NoError(b, err)
	defer func() { _ = db.Close(ctx) }()
	c := open(db)
	require.NoError(b, c.CreateNode(ctx, path, coordination.NodeConfig{}))
	timeout := options.WithSessionTimeout(30 * time.Second)
	holder, err := c.Session(ctx, path, timeout)
	require.NoError(b, err)
	s, err := c.Session(ctx, path, timeout)
	require.NoError(b, err)
	wait(b, holder, s, outstanding)

	b.ReportAllocs()
	for b.Loop() {
		l, err := s.AcquireSemaphore(ctx, "free", math.MaxUint64, options.WithEphemeral(true))
		if err != nil {
			b.Fatal(err)
		}
		if err := l.Release(); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "requests/s")
	require.NoError(b, s.Close(ctx))
	require.NoError(b, holder.Close(ctx))
}

// wait makes the session wait for n semaphores, all of which the holder owns.
func wait(b *testing.B, holder, s coordination.Session, n int) {
	b.Helper()
	ctx := b.Context()
	_, err := holder.AcquireSemaphore(ctx, "last", math.MaxUint64, options.WithEphemeral(true))
	require.NoError(b, err)
	for i := range n {
		name := fmt.Sprint(i)
		if i == n-1 {
			name = "last"
		} else {
			require.NoError(b, holder.CreateSemaphore(ctx, name, 1))
			_, err := holder.AcquireSemaphore(ctx, name, 1)
			require.NoError(b, err)
		}
		go func() { _, _ = s.AcquireSemaphore(ctx, name, 1, options.WithEphemeral(name == "last")) }()
	}
	for {
		d, err := holder.DescribeSemaphore(ctx, "last", options.WithDescribeWaiters(true))
		require.NoError(b, err)
		if len(d.Waiters) == 1 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// BenchmarkReattach measures how long a client takes to return after a restart of the server, with the driver's default
// connection settings and with WithQuickReconnect.
func BenchmarkReattach(b *testing.B) {
	for name, opts := range map[string][]ydb.Option{
		"driver's settings": {ydb.WithAnonymousCredentials()},
		"quick reconnect":   {ydb.WithAnonymousCredentials(), tenure.WithQuickReconnect()},
	} {
		b.Run(name, func(b *testing.B) {
			srv := tenuretest.NewServer(b)
			db, err := ydb.Open(b.Context(), srv.DSN(), opts...)
			require.NoError(b, err)
			defer func() { _ = db.Close(b.Context()) }()
			c := tenure.New(db)
			require.NoError(b, c.CreateNode(b.Context(), path, coordination.NodeConfig{}))
			s, err := c.Session(b.Context(), path)
			require.NoError(b, err)
			for b.Loop() {
				b.StopTimer()
				time.Sleep(1100 * time.Millisecond) // after a stream this long, there is no pause before the next one
				srv.Kill()
				time.Sleep(50 * time.Millisecond) // the client finds the port closed
				b.StartTimer()
				srv.Restart()
				if err := s.UpdateSemaphore(b.Context(), "x"); !ydb.IsOperationErrorNotFoundError(err) {
					b.Fatal(err)
				}
			}
			require.NoError(b, c.Close(b.Context()))
		})
	}
}
