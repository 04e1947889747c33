package server_test

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"

	"tenure/internal/bubbletest"
	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/outputtest"
	"tenure/internal/store"
	"tenure/internal/store/memstore"
	"tenure/server"
)

// Replies are sent only when their batch is durable. Requests that arrive during a commit form the next batch, and are
// committed together.
func TestOwner_BatchesWhileCommitting(t *testing.T) {
	const sessions = 20
	st := newGate(t)
	counting := &commitCounter{Store: st}
	h := serve(t, withStore(counting))
	first := h.attach(t, 0, time.Minute)
	var others []*session
	for range sessions {
		others = append(others, h.attach(t, 0, time.Minute))
	}

	st.shut()
	first.send(acquireMessage(1, "first", forever))
	st.awaitCommit()
	before := counting.n.Load()
	for i, s := range others {
		s.send(acquireMessage(1, fmt.Sprint("job-", i), forever))
		s.send(pingMessage(1)) // its pong shows that the server has read the acquire
		require.NotNil(t, s.recv().GetPong(), "only the pong may be sent")
	}
	st.open()
	require.True(t, first.recv().GetAcquireSemaphoreResult().GetAcquired())
	for _, s := range others {
		require.True(t, s.recv().GetAcquireSemaphoreResult().GetAcquired())
	}
	require.LessOrEqual(t, counting.n.Load()-before, int64(2))
}

// steps is a store whose commits wait until the test lets them go on, one at a time.
type steps struct {
	store.Store
	on      atomic.Bool
	arrived chan int // the bytes of each commit that waits
	step    chan struct{}
	end     chan struct{} // closed when no commit waits any more
}

func (s *steps) Commit(ctx context.Context, b store.Batch) error {
	if s.on.Load() {
		size := 0
		for _, r := range b.Changes {
			size += len(r.Key) + len(r.Value)
		}
		select {
		case s.arrived <- size:
		case <-s.end:
		}
		select {
		case <-s.step:
		case <-s.end:
		}
	}

	return s.Store.Commit(ctx, b)
}

// A large request does not share a batch with small ones, which would have to wait until it is written.
func TestOwner_LargeRequestsAreAlone(t *testing.T) {
	st := &steps{Store: memstore.New(), arrived: make(chan int), step: make(chan struct{}), end: make(chan struct{})}
	h := serve(t, withStore(st))
	t.Cleanup(func() { close(st.end) })
	var all []*session
	for range 7 {
		all = append(all, h.attach(t, 0, time.Minute))
	}
	arrive := func(i int, data []byte) {
		m := acquireMessage(1, fmt.Sprint("job-", i), forever)
		m.GetAcquireSemaphore().Data = data
		all[i].send(m)
		all[i].send(pingMessage(1)) // its pong shows that the server has read the acquire
		require.NotNil(t, all[i].recv().GetPong())
	}
	granted := func(i int) { require.True(t, all[i].recv().GetAcquireSemaphoreResult().GetAcquired(), i) }

	st.on.Store(true)
	arrive(0, nil)
	<-st.arrived
	arrive(1, nil)
	arrive(2, nil)
	st.step <- struct{}{}
	<-st.arrived // the batch has two requests, so the owner expects more the next time
	arrive(3, nil)
	arrive(4, make([]byte, 1<<20))
	arrive(5, make([]byte, 1<<20))
	arrive(6, nil)
	st.step <- struct{}{}
	require.Less(t, <-st.arrived, 1<<10, "the small requests")
	st.step <- struct{}{}
	granted(3)
	for range 2 {
		size := <-st.arrived
		require.Greater(t, size, 1<<20)
		require.Less(t, size, 1<<20+1<<10)
		st.step <- struct{}{}
	}
	granted(4)
	granted(5)
	<-st.arrived
	st.step <- struct{}{}
	granted(6)
}

// Answers to reads wait too, since the reads may have seen changes that are not durable.
func TestOwner_ReadsWaitForWhatTheySee(t *testing.T) {
	st := newGate(t)
	h := serve(t, withStore(st))
	writer, reader := h.attach(t, 0, time.Minute), h.attach(t, 0, time.Minute)

	st.shut()
	writer.send(acquireMessage(1, "job", forever))
	st.awaitCommit()
	reader.send(describeMessage(1, "job"))
	reader.send(pingMessage(1))
	require.NotNil(t, reader.recv().GetPong(), "the description must wait")
	st.open()
	seen := reader.recv().GetDescribeSemaphoreResult().GetSemaphoreDescription()
	require.Equal(t, uint64(math.MaxUint64), seen.GetCount())
}

// A failed commit is never acknowledged, and ends the server with its cause. The next server has the sessions again.
func TestOwner_FailedCommitStopsServer(t *testing.T) {
	data := &memstore.Disk{}
	st := newGate(t)
	st.Store = open(t, data)
	h := serve(t, withStore(st))
	s := h.attach(t, 0, time.Minute)
	s.requireAcquired("kept")

	st.fail()
	s.send(acquireMessage(2, "lost", forever))
	for { // pings may come before the end, but no answer
		m, err := s.grpc.Recv()
		if err != nil {
			break
		}
		require.Nil(t, m.GetAcquireSemaphoreResult())
		if m.GetFailure() != nil {
			require.Equal(t, Ydb.StatusIds_UNAVAILABLE, m.GetFailure().GetStatus())
		}
	}
	err := <-h.served
	require.ErrorIs(t, err, errDisk)
	require.ErrorContains(t, err, `commit to node "/local/test"`)
	require.ErrorIs(t, h.server.Stop(t.Context()), errDisk)

	again := serve(t, withStore(open(t, data)))
	back := again.attach(t, s.id, time.Minute)
	back.requireReleased("kept")
	require.False(t, back.releases("lost"))
}

// A panic in a node's goroutine fails only that node. Its streams end, and it is loaded again from its records. Other
// nodes are not affected.
func TestOwner_PanicFailsOneNode(t *testing.T) {
	var log outputtest.Buffer
	clk := &panicky{Clock: clock.Go(), timer: 1}
	h := serve(t, withClock(clk), server.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	createNode(t, h, "/local/other")
	victim := h.attach(t, 0, time.Minute)
	victim.requireAcquired("job")
	node := h.node
	h.node = "/local/other"
	other := h.attach(t, 0, time.Minute)
	h.node = node

	trigger := h.attach(t, 0, time.Minute)
	clk.armed.Store(true)
	trigger.cancel() // this starts its session timeout
	victim.requireFailure(Ydb.StatusIds_UNAVAILABLE, "the coordination node failed and is being loaded again")
	require.Contains(t, log.String(), "the timer is broken")
	require.Contains(t, log.String(), "owner.go", "the stack")

	other.requireAcquired("job")
	back := h.attach(t, victim.id, time.Minute)
	require.Equal(t, victim.id, back.id)
	back.requireReleased("job")
}

// N3: a drop ends the node's streams with UNAVAILABLE. A node that is created again at the path is empty.
func TestOwner_Drop(t *testing.T) {
	h := serve(t)
	s := h.attach(t, 0, time.Minute)
	s.requireAcquired("job")
	r, err := h.client.DropNode(t.Context(), &pb.DropNodeRequest{Path: h.node})
	require.NoError(t, err)
	require.Equal(t, Ydb.StatusIds_SUCCESS, r.GetOperation().GetStatus())
	s.requireFailure(Ydb.StatusIds_UNAVAILABLE, "the coordination node was dropped")
	gone := h.open(t)
	gone.send(startMessage(h.node, 0, time.Minute))
	gone.requireFailure(Ydb.StatusIds_NOT_FOUND, "Kesus not found")

	createNode(t, h, h.node)
	require.EqualValues(t, 1, h.attach(t, 0, time.Minute).id)
}

// Dropping a node or stopping the server while the node is loaded is not a fault.
func TestOwner_EndsWhileLoading(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(t *testing.T, h *harness)
		told string
	}{
		"drop": {func(t *testing.T, h *harness) {
			t.Helper()
			_, err := h.client.DropNode(t.Context(), &pb.DropNodeRequest{Path: h.node})
			require.NoError(t, err)
		}, "the coordination node was dropped"},
		"stop": {func(t *testing.T, h *harness) {
			t.Helper()
			go func() { _ = h.server.Stop(context.WithoutCancel(t.Context())) }()
		}, "the server is stopping"},
	} {
		t.Run(name, func(t *testing.T) {
			bubbletest.Test(t, func(t *testing.T) {
				var log outputtest.Buffer
				h := serve(t, withStore(&endless{memstore.New()}),
					server.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
				s := h.open(t)
				s.send(startMessage(h.node, 0, time.Minute))
				synctest.Wait()
				test.end(t, h)
				s.requireFailure(Ydb.StatusIds_UNAVAILABLE, test.told)
				require.NotContains(t, log.String(), "node failed")
			})
		})
	}
}

// endless is a store that loads a node until ctx ends.
type endless struct{ store.Store }

func (e *endless) Load(ctx context.Context, space store.Space) iter.Seq2[node.Record, error] {
	if space == store.Catalog {
		return e.Store.Load(ctx, space)
	}

	return func(yield func(node.Record, error) bool) {
		<-ctx.Done()
		yield(node.Record{}, ctx.Err())
	}
}

// Attaches that race with a drop never restore the node.
func TestOwner_DropRacesWithAttach(t *testing.T) {
	h := serve(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				s := h.open(t)
				_ = s.trySend(startMessage(h.node, 0, time.Minute))
				if m, err := s.grpc.Recv(); err == nil && m.GetFailure() == nil {
					_ = s.trySend(acquireMessage(1, "job", 0))
				}
				s.cancel()
			}
		})
	}
	for range 50 {
		r, err := h.client.DropNode(t.Context(), &pb.DropNodeRequest{Path: h.node})
		require.NoError(t, err)
		require.Equal(t, Ydb.StatusIds_SUCCESS, r.GetOperation().GetStatus())
		createNode(t, h, h.node)
	}
	wg.Wait()
}

// A clean stop ends streams with UNAVAILABLE. Sessions stay for timeout and grace (A13, N5), and keep their semaphores.
func TestOwner_StopKeepsSessions(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		data := &memstore.Disk{}
		h := serve(t, withStore(open(t, data)))
		keeper, loser := h.attach(t, 0, 2*time.Second), h.attach(t, 0, 2*time.Second)
		keeper.requireAcquired("kept")
		loser.requireAcquired("lost")
		stopped := make(chan error, 1)
		go func() { stopped <- h.server.Stop(t.Context()) }()
		keeper.requireFailure(Ydb.StatusIds_UNAVAILABLE, "the server is stopping")
		loser.requireFailure(Ydb.StatusIds_UNAVAILABLE, "the server is stopping")
		require.NoError(t, <-h.served)
		require.NoError(t, <-stopped)

		time.Sleep(time.Hour) // while no server runs, no timeout runs
		again := serve(t, withStore(open(t, data)))
		back := again.attach(t, keeper.id, 2*time.Second)
		waiter := again.attach(t, 0, time.Minute)
		waiter.requirePending("lost")
		began := time.Now()
		go func() { // answer pings while the waiter waits
			for back.grpc.Context().Err() == nil {
				m, err := back.grpc.Recv()
				if err != nil {
					return
				}
				_ = back.trySend(pongMessage(m.GetPing().GetOpaque()))
			}
		}()
		require.True(t, waiter.recv().GetAcquireSemaphoreResult().GetAcquired())
		require.Equal(t, 12*time.Second, time.Since(began), "2 s timeout and 10 s grace")
	})
}

// The grace period runs from the server's start, not from a node's first use, so nobody waits for it twice.
func TestOwner_GraceRunsFromStart(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		data := &memstore.Disk{}
		h := serve(t, withStore(open(t, data)))
		h.attach(t, 0, 2*time.Second).requireAcquired("job")
		h.stop(t)

		again := serve(t, withStore(open(t, data)))
		time.Sleep(12 * time.Second)
		again.attach(t, 0, time.Minute).requireAcquired("job")
	})
}

// Many nodes work concurrently.
func TestNodes_ServeSideBySide(t *testing.T) {
	h := serve(t)
	var wg sync.WaitGroup
	for i := range 10 {
		path := fmt.Sprint("/local/node-", i)
		createNode(t, h, path)
		s := h.open(t)
		s.send(startMessage(path, 0, time.Minute))
		require.EqualValues(t, 1, s.recv().GetSessionStarted().GetSessionId())
		wg.Go(func() {
			for range 100 {
				s.requireAcquired("job")
				s.requireReleased("job")
			}
		})
	}
	wg.Wait()
}

func open(t *testing.T, disk *memstore.Disk) store.Store {
	t.Helper()
	s, err := disk.Open()
	require.NoError(t, err)

	return s
}

func createNode(t *testing.T, h *harness, path string) {
	t.Helper()
	r, err := h.client.CreateNode(t.Context(), &pb.CreateNodeRequest{Path: path, Config: &pb.Config{}})
	require.NoError(t, err)
	require.Equal(t, Ydb.StatusIds_SUCCESS, r.GetOperation().GetStatus())
}

type commitCounter struct {
	store.Store
	n atomic.Int64
}

func (c *commitCounter) Commit(ctx context.Context, b store.Batch) error {
	c.n.Add(1)

	return c.Store.Commit(ctx, b)
}

// panicky is a clock one of whose timers or alarms panics when it is set. The first timer belongs to the first node
// that is used. Each call has an alarm, and a stream has another one.
type panicky struct {
	clock.Clock
	timer, alarm   int64 // the number of the one that panics; 0: none
	timers, alarms atomic.Int64
	armed          atomic.Bool
}

func (p *panicky) NewTimer() clock.Timer {
	t := p.Clock.NewTimer()
	if p.timers.Add(1) == p.timer {
		return &panickyTimer{t, &p.armed}
	}

	return t
}

func (p *panicky) NewAlarm(ring func()) clock.Timer {
	t := p.Clock.NewAlarm(ring)
	if p.alarms.Add(1) == p.alarm {
		return &panickyTimer{t, &p.armed}
	}

	return t
}

type panickyTimer struct {
	clock.Timer
	armed *atomic.Bool
}

func (p *panickyTimer) Set(now, at clock.Instant) {
	if p.armed.Load() {
		panic("the timer is broken")
	}
	p.Timer.Set(now, at)
}
