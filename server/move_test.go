package server_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"

	"tenure/internal/relaytest"
	"tenure/internal/serverconfig"
	"tenure/internal/store"
	"tenure/internal/store/storetest"
	"tenure/server"
)

// moving is a time limit for the move of a node. A server that takes longer than a second to answer is given nothing
// for a while, and the machine may pause.
const moving = 3 * time.Minute

// withSettle makes nodes move soon after the servers have changed.
func withSettle(d time.Duration) server.Option { return func(c *serverconfig.Config) { c.Settle = d } }

// fleet is a cluster with nodes, whose spaces are 1, 2 and so on.
type fleet struct {
	*storetest.Cluster

	paths []string
}

func newFleet(t *testing.T, nodes int, opts ...server.Option) (*fleet, *member) {
	t.Helper()
	f := &fleet{Cluster: storetest.NewCluster()}
	m := join(t, f.Cluster, opts...)
	for i := range nodes {
		f.paths = append(f.paths, fmt.Sprintf("/local/n%d", i))
		m.node = f.paths[i]
		m.createNode(t)
	}

	return f, m
}

// owned returns how many nodes the server owns.
func (f *fleet) owned(m *member) (n int) {
	for i := range f.paths {
		if f.Owner(store.Space(i+1)) == m.store.Self().ID {
			n++
		}
	}

	return n
}

// holder is a client that holds a lock of a node all the time, through any server.
type holder struct {
	path    string
	session *session
}

// hold attaches a client to each node through the server, and acquires a lock there.
func (f *fleet) hold(t *testing.T, m *member) (all []*holder) {
	t.Helper()
	for _, path := range f.paths {
		m.node = path
		h := &holder{path: path, session: m.attach(t, 0, time.Minute)}
		h.session.requireAcquired("a")
		h.session.keep()
		all = append(all, h)
	}

	return all
}

// still requires that the client still holds the lock, and returns how often its stream has ended since. It attaches
// through the server, again if no server serves the node at that moment.
func (h *holder) still(t *testing.T, m *member) int {
	t.Helper()
	moves := 0
	for ; ; moves++ {
		_ = h.session.trySend(describeOwners("a")) // the stream may have ended, with messages still to read
		again := false
		for !again {
			r := h.session.recv()
			if d := r.GetDescribeSemaphoreResult(); d != nil {
				require.Len(t, d.GetSemaphoreDescription().GetOwners(), 1)
				require.Equal(t, h.session.id, d.GetSemaphoreDescription().GetOwners()[0].GetSessionId())

				return moves
			}
			if f := r.GetFailure(); f != nil {
				require.Equal(t, Ydb.StatusIds_UNAVAILABLE, f.GetStatus())
				again = true
			}
		}
		h.attach(t, m)
	}
}

func (h *holder) attach(t *testing.T, m *member) {
	t.Helper()
	for {
		s := m.open(t)
		s.send(startMessage(h.path, h.session.id, time.Minute))
		r := s.recv()
		if r.GetSessionStarted() != nil {
			s.id = h.session.id
			s.keep()
			h.session = s

			return
		}
		require.Equal(t, Ydb.StatusIds_UNAVAILABLE, r.GetFailure().GetStatus())
		require.NoError(t, t.Context().Err())
	}
}

// insist attaches through the server and requires that the client still holds the lock.
func (h *holder) insist(t *testing.T, m *member) {
	t.Helper()
	h.attach(t, m)
	h.still(t, m)
}

func describeOwners(name string) *pb.SessionRequest {
	m := describeMessage(1, name)
	m.GetDescribeSemaphore().IncludeOwners = true

	return m
}

// The servers share the nodes that are used for the first time, whichever server they are used through.
func TestMove_FirstUse(t *testing.T) {
	t.Parallel()
	f, first := newFleet(t, 60)
	others := []*member{join(t, f.Cluster), join(t, f.Cluster)}
	f.hold(t, others[0])
	for _, m := range append(others, first) {
		require.InDelta(t, 20, f.owned(m), 18) // the shares depend on the ports
	}
}

// A server that joins is given its share of the nodes. Nobody loses anything, and nodes that stay are not disturbed.
func TestMove_Join(t *testing.T) {
	t.Parallel()
	const nodes = 30
	f, first := newFleet(t, nodes, withSettle(time.Second/2))
	all := f.hold(t, first)
	require.Equal(t, nodes, f.owned(first))
	second := join(t, f.Cluster, withSettle(time.Second/2))
	const few = 2 // the share depends on the ports
	require.Eventually(t, func() bool { return f.owned(second) >= few }, moving, 10*time.Millisecond)
	for before := 0; before != f.owned(second); time.Sleep(time.Second) { // until it has stopped
		before = f.owned(second)
	}
	require.LessOrEqual(t, f.owned(second), nodes-few)
	require.Equal(t, nodes, f.owned(first)+f.owned(second))
	moved := 0
	for i, h := range all {
		moved += h.still(t, []*member{first, second}[i%2])
	}
	// A stream may end once more when the machine pauses.
	require.GreaterOrEqual(t, moved, f.owned(second))
	require.LessOrEqual(t, moved, f.owned(second)+2)
}

// A server that cannot be reached at its address, or is another one, is given nothing.
func TestMove_Unfit(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{"refuses": relaytest.FreeAddress(t), "silent": silent(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, first := newFleet(t, 10, withSettle(time.Nanosecond))
			all := f.hold(t, first)
			f.Join("ghost", "grpc://"+address)
			for range 30 {
				for _, h := range all {
					require.Zero(t, h.still(t, first))
				}
				time.Sleep(100 * time.Millisecond)
			}
			require.Equal(t, 10, f.owned(first))

			// Nor is a node left to it that is used for the first time.
			first.node = "/local/more"
			first.createNode(t)
			first.attach(t, 0, time.Minute)
		})
	}
}

// A server that is told to stop while it hands nodes over hands over the rest.
func TestMove_StopMeanwhile(t *testing.T) {
	t.Parallel()
	const nodes = 30
	f, first := newFleet(t, nodes, withSettle(time.Nanosecond))
	all := f.hold(t, first)
	second := join(t, f.Cluster, withSettle(time.Nanosecond))
	require.Eventually(t, func() bool { return f.owned(second) > 0 }, moving, time.Millisecond)
	first.stopSoon(t)
	for _, h := range all {
		h.insist(t, second)
	}
	require.Equal(t, nodes, f.owned(second))
}

// A server that has no memory for a node does not keep it from the others.
func TestMove_TooLarge(t *testing.T) {
	t.Parallel()
	const nodes = 10
	f, first := newFleet(t, nodes, withSettle(time.Nanosecond))
	all := f.hold(t, first)
	small := join(t, f.Cluster, withSettle(time.Nanosecond), server.WithLimits(server.Limits{Memory: 1}))
	tried := func() bool { return small.server.Limits()["memory"] > 0 }
	require.Eventually(t, tried, moving, 10*time.Millisecond)
	for _, through := range []*member{first, small} {
		for _, h := range all {
			h.insist(t, through)
		}
	}
	require.Eventually(t, func() bool { return f.owned(first) == nodes }, moving, 10*time.Millisecond)
	for _, h := range all {
		h.insist(t, small)
	}
}

// Servers that do not see the same ones, for long, do not move a node in a circle.
func TestMove_PartialViews(t *testing.T) {
	t.Parallel()
	const nodes = 12
	f, first := newFleet(t, nodes, withSettle(time.Nanosecond))
	holders := f.hold(t, first)
	all := []*member{first}
	for range 2 {
		all = append(all, join(t, f.Cluster, withSettle(time.Nanosecond)))
	}
	for i, m := range all { // each sees the next one only
		m.store.See(all[(i+1)%3].store.Self().ID)
	}
	changes := make(map[store.Space]int)
	last := make(map[store.Space]string)
	quiet := time.Now()
	for began := time.Now(); time.Since(quiet) < 3*time.Second; time.Sleep(5 * time.Millisecond) {
		require.Less(t, time.Since(began), time.Minute, "the nodes move in a circle")
		for i, h := range holders {
			if owner := f.Owner(store.Space(i + 1)); owner != "" && owner != last[store.Space(i+1)] {
				last[store.Space(i+1)] = owner
				changes[store.Space(i+1)]++
				quiet = time.Now()
			}
			h.still(t, all[i%3])
		}
	}
	for _, n := range changes {
		require.LessOrEqual(t, n, 5)
	}
}

// A server that stops hands its nodes over to the others at once, also if two stop at the same time.
func TestMove_Stop(t *testing.T) {
	t.Parallel()
	for _, stopping := range []int{1, 2} {
		t.Run(fmt.Sprint(stopping), func(t *testing.T) {
			t.Parallel()
			const nodes = 80
			f, first := newFleet(t, nodes)
			all := []*member{first, join(t, f.Cluster), join(t, f.Cluster), join(t, f.Cluster)}
			last := all[3]
			holders := f.hold(t, last)
			before, had := f.owned(last), f.owned(first)
			var stopped sync.WaitGroup
			for _, m := range all[:stopping] {
				stopped.Go(func() { m.stopSoon(t) })
			}
			for _, h := range holders {
				h.still(t, last)
			}
			stopped.Wait()
			for _, h := range holders {
				h.still(t, last)
			}
			left := 0
			for _, m := range all[stopping:] {
				left += f.owned(m)
			}
			require.Equal(t, nodes, left)
			if stopping == 1 && had > 10 { // the ports decide; with few nodes, one server may well get all
				require.Less(t, f.owned(last), before+had, "the others have their share")
			}
		})
	}
}

// A server takes over from one that refuses connections immediately, but does this to the same one not too often.
func TestFront_RefusingServer(t *testing.T) {
	t.Parallel()
	c := storetest.NewCluster()
	m := join(t, c)
	m.createNode(t)
	ghost := c.Join("ghost", "grpc://"+relaytest.FreeAddress(t))
	ghost.Seize(space)
	began := time.Now()
	m.attach(t, 0, time.Minute).cancel()
	require.Less(t, time.Since(began), time.Second)
	require.Equal(t, m.store.Self().ID, c.Owner(space))

	ghost.Return()
	ghost.Seize(space)
	s := m.open(t)
	s.send(startMessage(m.node, 0, time.Minute))
	for r := s.recv(); ; r = s.recv() { // perhaps the server has not noticed yet that it has lost the node
		if f := r.GetFailure(); f != nil {
			require.Equal(t, Ydb.StatusIds_UNAVAILABLE, f.GetStatus())

			break
		}
	}
	s = m.open(t)
	s.send(startMessage(m.node, 0, time.Minute))
	s.requireFailure(Ydb.StatusIds_UNAVAILABLE, "no server of the cluster serves the coordination node at the moment")
	require.Equal(t, "ghost", c.Owner(space))
}

// A forwarded stream whose server dies makes the front look at once. No client has to ask for that.
func TestFront_NoticesBrokenStream(t *testing.T) {
	t.Parallel()
	c, all := cluster(t, 2)
	s := all[1].attach(t, 0, time.Minute)
	s.requireAcquired("a")
	all[0].server.Cut()
	living := func() int {
		m, err := all[1].store.Living(t.Context())
		require.NoError(t, err)

		return len(m)
	}
	require.Eventually(t, func() bool { return living() == 1 }, 5*time.Second, time.Millisecond)
	require.Equal(t, all[0].store.Self().ID, c.Owner(space), "nobody has asked for the node")
	back := all[1].attach(t, s.id, time.Minute)
	back.send(&pb.SessionRequest{Request: &pb.SessionRequest_SessionStop_{SessionStop: &pb.SessionRequest_SessionStop{}}})
}
