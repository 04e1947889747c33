package tenure_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"tenure"
	"tenure/internal/bubbletest"
	"tenure/internal/clock"
	"tenure/internal/serverconfig"
	"tenure/internal/store/memstore"
	"tenure/server"
)

// world is a server, the networks between it and its clients, and a witness of all leases, in virtual time.
type world struct {
	*testing.T
	*witness
	disk    *memstore.Disk
	server  *server.Server
	accepts atomic.Pointer[bufconn.Listener]
	serving chan error
}

// inWorld runs a test in a world. The test fails if a goroutine is left at the end.
func inWorld(t *testing.T, f func(*world)) {
	t.Helper()
	bubbletest.Test(t, func(t *testing.T) {
		w := &world{T: t, witness: newWitness(t), disk: &memstore.Disk{}}
		w.start()
		t.Cleanup(w.stop)
		w.createNode()
		f(w)
	})
}

func (w *world) start() {
	records, err := w.disk.Open()
	require.NoError(w, err)
	w.server, err = server.New(func(c *serverconfig.Config) { c.Clock, c.Store = clock.Go(), records })
	require.NoError(w, err)
	lis := bufconn.Listen(1 << 16)
	w.accepts.Store(lis)
	w.serving = make(chan error, 1)
	go func(s *server.Server, serving chan<- error) { serving <- s.Serve(lis) }(w.server, w.serving)
}

// stop shuts the server down cleanly.
func (w *world) stop() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.Context()), time.Second)
	defer cancel()
	require.NoError(w, w.server.Stop(ctx))
	require.NoError(w, <-w.serving)
}

// forget restarts the server with an empty disk and creates the node again.
func (w *world) forget() {
	w.stop()
	w.disk = &memstore.Disk{}
	w.start()
	w.createNode()
}

// accept connects to the running server.
func (w *world) accept(ctx context.Context) (net.Conn, error) {
	return w.accepts.Load().DialContext(ctx)
}

// direct returns a connection to the server without a network in between.
func (w *world) direct() *grpc.ClientConn {
	return connect(w.T, func(ctx context.Context, _ string) (net.Conn, error) { return w.accept(ctx) })
}

func (w *world) createNode() {
	conn := w.direct()
	r, err := Ydb_Coordination_V1.NewCoordinationServiceClient(conn).CreateNode(w.Context(),
		&pb.CreateNodeRequest{Path: path, Config: &pb.Config{}})
	require.NoError(w, err)
	require.Equal(w, Ydb.StatusIds_SUCCESS, r.GetOperation().GetStatus())
	require.NoError(w, conn.Close())
}

// client returns a client that uses the connection. Its clock is that of the synctest bubble unless another one is
// given. The witness counts the streams that it opens.
func (w *world) client(conn grpc.ClientConnInterface, clocks ...clock.Clock) *tenure.Client {
	clk := clock.Go()
	if len(clocks) > 0 {
		clk = clocks[0]
	}
	c := tenure.NewClient(nil, w.count(conn), clk)
	w.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(w.Context()), time.Second)
		defer cancel()
		_ = c.Close(ctx) // fails if the test has cut the client off from the server
	})

	return c
}

// far returns a client behind a separate network.
func (w *world) far(clocks ...clock.Clock) (*tenure.Client, *network) {
	n := newNetwork(w.T)

	return w.client(connect(w.T, n.dial(w.accept)), clocks...), n
}

func (w *world) session(c *tenure.Client, timeout time.Duration, opts ...options.SessionOption) *tenure.Session {
	w.Helper()
	s, err := c.Session(w.Context(), path, append(opts, options.WithSessionTimeout(timeout))...)
	require.NoError(w, err)

	return s.(*tenure.Session)
}

// hold acquires the semaphore job for the session and shows the lease to the witness.
func (w *world) hold(s *tenure.Session) *tenure.Lease {
	w.Helper()
	l, err := s.AcquireSemaphore(w.Context(), "job", coordination.Exclusive, options.WithEphemeral(true))
	require.NoError(w, err)

	return w.saw(l)
}

// rival waits for the semaphore job in a session with a healthy connection. The channel receives its lease.
func (w *world) rival() <-chan *tenure.Lease {
	w.Helper()
	s := w.session(w.client(w.direct()), time.Second)
	granted := make(chan *tenure.Lease, 1)
	go func() {
		defer close(granted)
		l, err := s.AcquireSemaphore(s.Context(), "job", coordination.Exclusive, options.WithEphemeral(true))
		if err == nil {
			granted <- w.saw(l)
		}
	}()
	synctest.Wait()

	return granted
}

// lives requires that the lease is held for the next d.
func (w *world) lives(l *tenure.Lease, d time.Duration) {
	w.Helper()
	select {
	case <-l.Context().Done():
		require.NoError(w, context.Cause(l.Context()), "the lease has ended")
	case <-time.After(d):
	}
	require.True(w, l.Valid())
}

// ends awaits the end of a lease and returns how long that took, and its cause.
func (w *world) ends(l *tenure.Lease) (time.Duration, error) {
	w.Helper()
	from := time.Now()
	select {
	case <-l.Context().Done():
	case <-time.After(patience):
		require.FailNow(w, "the lease does not end")
	}
	require.False(w, l.Valid())
	require.Zero(w, l.Deadline())

	return time.Since(from), context.Cause(l.Context())
}

// granted awaits a grant.
func (w *world) granted(c <-chan *tenure.Lease) *tenure.Lease {
	w.Helper()
	select {
	case l := <-c:
		require.NotNil(w, l, "the waiting session has ended")

		return l
	case <-time.After(patience):
		require.FailNow(w, "the lease is not granted")

		return nil
	}
}

// patience is the longest time that tests wait for an event.
const patience = 5 * time.Minute

// witness watches all leases of the semaphore job in a test. It fails the test if two sessions hold one at the same
// time.
type witness struct {
	t *testing.T

	mu       sync.Mutex // guards the rest
	leases   []*tenure.Lease
	openings map[grpc.ClientConnInterface][]time.Time
}

func newWitness(t *testing.T) *witness {
	t.Helper()
	w := &witness{t: t, openings: make(map[grpc.ClientConnInterface][]time.Time)}
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case <-time.After(50 * time.Millisecond): // saw also checks at each grant
				w.check()
			case <-ended:
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(ended)
		w.checkOpenings()
	})

	return w
}

// saw adds a granted lease. The previous lease must have ended by now, without any tolerance.
func (w *witness) saw(l coordination.Lease) *tenure.Lease {
	w.mu.Lock()
	w.leases = append(w.leases, l.(*tenure.Lease))
	w.mu.Unlock()
	w.check()

	return l.(*tenure.Lease)
}

func (w *witness) check() {
	w.mu.Lock()
	defer w.mu.Unlock()
	var holder *tenure.Lease
	for _, l := range w.leases {
		if l.Context().Err() != nil || !l.Valid() {
			continue
		}
		if holder != nil && holder.Session() != l.Session() {
			w.t.Errorf("sessions %d and %d both hold a lease", holder.Session().SessionID(), l.Session().SessionID())
		}
		holder = l
	}
}

// count returns the connection. The witness counts the streams that are opened over it.
func (w *witness) count(conn grpc.ClientConnInterface) grpc.ClientConnInterface {
	return &counted{conn, w}
}

type counted struct {
	grpc.ClientConnInterface
	witness *witness
}

func (c *counted) NewStream(
	ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	c.witness.mu.Lock()
	c.witness.openings[c] = append(c.witness.openings[c], time.Now())
	c.witness.mu.Unlock()

	return c.ClientConnInterface.NewStream(ctx, desc, method, opts...)
}

const maxOpenings = 20

// opened returns the number of streams that were opened.
func (w *witness) opened() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, at := range w.openings {
		n += len(at)
	}

	return n
}

// checkOpenings requires that no connection had more than maxOpenings streams opened within a second. Each test has one
// session at a time on a connection.
func (w *witness) checkOpenings() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, at := range w.openings {
		for i := maxOpenings; i < len(at); i++ {
			if at[i].Sub(at[i-maxOpenings]) <= time.Second {
				w.t.Errorf("%d streams opened in %v", maxOpenings+1, at[i].Sub(at[i-maxOpenings]))
			}
		}
	}
}
