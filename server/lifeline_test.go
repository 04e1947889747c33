package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"

	"tenure/internal/bubbletest"
	"tenure/internal/catalog"
	"tenure/internal/node"
	"tenure/internal/outputtest"
	"tenure/internal/store"
	"tenure/internal/store/memstore"
	"tenure/server"
)

// lifelines counts the checks of each key, and reports the lifelines as cut that the test has chosen.
type lifelines struct {
	mu    sync.Mutex // guards the rest; not held in act
	tries map[string]int
	total int
	cutAt map[string]int     // the check from which on the lifeline is cut
	act   func(key string)   // called by each check; may be nil
	times map[string][]int64 // when each key was checked, in ms
}

func newLifelines() *lifelines {
	return &lifelines{tries: map[string]int{}, cutAt: map[string]int{}, times: map[string][]int64{}}
}

func (l *lifelines) Cut(key string) bool {
	cut, act := l.try(key)
	if act != nil {
		act(key)
	}

	return cut
}

func (l *lifelines) try(key string) (cut bool, act func(string)) {
	l.mu.Lock()
	defer l.mu.Unlock()

	l.total++
	l.tries[key]++
	if len(l.times[key]) < 100 {
		l.times[key] = append(l.times[key], time.Now().UnixMilli())
	}

	return l.cutAt[key] > 0 && l.tries[key] >= l.cutAt[key], l.act
}

// cut cuts the key's lifeline at its nth check.
func (l *lifelines) cut(key string, nth int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cutAt[key] = nth
}

func (l *lifelines) count(key string) int {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.tries[key]
}

// sum returns the number of checks of all keys.
func (l *lifelines) sum() int {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.total
}

// pauses returns the times between the checks of the key, in ms.
func (l *lifelines) pauses(key string) (ms []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, at := range l.times[key][1:] {
		ms = append(ms, at-l.times[key][i])
	}

	return ms
}

// hold makes the first check announce itself and wait until goOn is closed.
func (l *lifelines) hold() (trying, goOn chan struct{}) {
	trying, goOn = make(chan struct{}), make(chan struct{})
	var first sync.Once
	l.act = func(string) { first.Do(func() { close(trying); <-goOn }) }

	return trying, goOn
}

// keyed attaches a new session with a protection key, or an existing one.
func (h *harness) keyed(t *testing.T, id uint64, key string, timeout time.Duration) *session {
	t.Helper()
	s := h.open(t)
	s.start(keyedStart(h.node, id, key, timeout))

	return s
}

func keyedStart(path string, id uint64, key string, timeout time.Duration) *pb.SessionRequest {
	m := startMessage(path, id, timeout)
	m.GetSessionStart().ProtectionKey = []byte(key)

	return m
}

// start opens a stream and attaches with the message.
func (s *session) start(m *pb.SessionRequest) {
	s.t.Helper()
	s.send(m)
	s.id = s.recv().GetSessionStarted().GetSessionId()
	require.NotZero(s.t, s.id)
}

// answerPings answers pings and ignores other messages until the stream ends.
func (s *session) answerPings() {
	for {
		m, err := s.grpc.Recv()
		if err != nil {
			return
		}
		if m.GetPing() != nil {
			_ = s.trySend(pongMessage(m.GetPing().GetOpaque()))
		}
	}
}

func (s *session) requireGranted() {
	s.t.Helper()
	require.True(s.t, s.recv().GetAcquireSemaphoreResult().GetAcquired())
}

// The semaphores of a dead process are handed over when the node is loaded, before any request is served, and durably.
func TestLifeline_CutAtLoad(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		data := &memstore.Disk{}
		h := serve(t, withStore(open(t, data)))
		dead, alive := h.keyed(t, 0, "dead", time.Minute), h.keyed(t, 0, "alive", time.Minute)
		keyless := h.attach(t, 0, time.Minute)
		dead.requireAcquired("of the dead process")
		alive.requireAcquired("of the live process")
		keyless.requireAcquired("of the session without a key")
		h.stop(t)

		lines := newLifelines()
		lines.cut("dead", 1)
		again := serve(t, withStore(open(t, data)), withLifelines(lines))
		began := time.Now()
		next := again.attach(t, 0, 30*time.Minute)
		next.requireAcquired("of the dead process")
		next.requirePending("of the live process")
		late := again.open(t)
		late.send(keyedStart(again.node, dead.id, "dead", time.Minute))
		late.requireFailure(Ydb.StatusIds_SESSION_EXPIRED, "Session does not exist")
		require.Zero(t, time.Since(began))
		require.Equal(t, 1, lines.count("dead"))
		require.Equal(t, 1, lines.count("alive"))
		require.Zero(t, lines.count(""), "no key, no lifeline")

		back := again.keyed(t, alive.id, "alive", time.Minute)
		back.requireReleased("of the live process")
		next.requireGranted()
		again.stop(t)

		third := serve(t, withStore(open(t, data)))
		gone := third.open(t)
		gone.send(keyedStart(third.node, dead.id, "dead", time.Minute))
		gone.requireFailure(Ydb.StatusIds_SESSION_EXPIRED, "Session does not exist")
		require.Equal(t, keyless.id, third.attach(t, keyless.id, time.Minute).id)
	})
}

// A process that died with the host may not be gone when the next host loads the node, so it is checked again.
func TestLifeline_CutSoonAfterLoad(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		data := &memstore.Disk{}
		h := serve(t, withStore(open(t, data)))
		h.keyed(t, 0, "dying", time.Minute).requireAcquired("job")
		h.stop(t)

		lines := newLifelines()
		lines.cut("dying", 3)
		again := serve(t, withStore(open(t, data)), withLifelines(lines))
		began := time.Now()
		next := again.attach(t, 0, time.Minute)
		next.requirePending("job")
		next.requireGranted()
		require.Equal(t, 3*time.Millisecond, time.Since(began), "tried at 0, 1 and 3 ms")
	})
}

// The instant the holder dies, a waiter is granted the semaphore and a watcher is notified.
func TestLifeline_CutAtDetach(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		lines := newLifelines()
		lines.cut("k", 1)
		h := serve(t, withLifelines(lines))
		holder, waiter, watcher := h.keyed(t, 0, "k", time.Minute), h.attach(t, 0, time.Minute), h.attach(t, 0, time.Minute)
		holder.requireAcquired("job")
		waiter.requirePending("job")
		watch := describeMessage(7, "job")
		watch.GetDescribeSemaphore().WatchOwners = true
		watcher.send(watch)
		require.True(t, watcher.recv().GetDescribeSemaphoreResult().GetWatchAdded())
		require.Zero(t, lines.count("k"))

		began := time.Now()
		holder.cancel()
		waiter.requireGranted()
		require.True(t, watcher.recv().GetDescribeSemaphoreChanged().GetOwnersChanged())
		require.Zero(t, time.Since(began))
		require.Equal(t, 1, lines.count("k"))
	})
}

// The kernel may close a dying process's connection before its lifeline. The lifeline is checked until it is cut, with
// pauses that double up to a quarter of a second.
func TestLifeline_CutAfterDetach(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		lines := newLifelines()
		lines.cut("soon", 5)
		lines.cut("late", 12)
		h := serve(t, withLifelines(lines))
		soon, late := h.keyed(t, 0, "soon", time.Minute), h.keyed(t, 0, "late", time.Minute)
		waiter := h.attach(t, 0, 30*time.Minute)
		soon.requireAcquired("one")
		late.requireAcquired("two")
		waiter.requirePending("one")
		waiter.requirePending("two")

		began := time.Now()
		soon.cancel()
		late.cancel()
		waiter.requireGranted()
		require.Equal(t, 15*time.Millisecond, time.Since(began))
		waiter.requireGranted()
		require.Equal(t, []int64{1, 2, 4, 8}, lines.pauses("soon"))
		require.Equal(t, []int64{1, 2, 4, 8, 16, 32, 64, 128, 250, 250, 250}, lines.pauses("late"))
	})
}

// While the process lives, the session timeout runs to its end. Then the checks stop.
func TestLifeline_AliveTimesOut(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		lines := newLifelines()
		h := serve(t, withLifelines(lines))
		holder, waiter := h.keyed(t, 0, "k", 3*time.Second), h.attach(t, 0, 30*time.Minute)
		holder.requireAcquired("job")
		waiter.requirePending("job")

		began := time.Now()
		holder.cancel()
		waiter.requireGranted()
		require.Equal(t, 3*time.Second, time.Since(began))
		tries := lines.count("k")
		require.Equal(t, 19, tries, "9 at 0 to 255 ms, then 10 at 505 to 2,755 ms")
		go waiter.answerPings()
		time.Sleep(time.Hour)
		require.Equal(t, tries, lines.count("k"))
	})
}

// A session that is attached again keeps everything, and is not checked while attached, however often that happens.
func TestLifeline_AliveComesBack(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		lines := newLifelines()
		h := serve(t, withLifelines(lines))
		s := h.keyed(t, 0, "k", time.Minute)
		s.requireAcquired("job")
		for range 3 {
			go s.answerPings()
			tries := lines.count("k")
			time.Sleep(time.Hour)
			require.Equal(t, tries, lines.count("k"), "an attached session must not be checked")

			s.cancel()
			time.Sleep(10 * time.Millisecond)
			require.Equal(t, tries+4, lines.count("k"), "at 0, 1, 3 and 7 ms")
			thief := h.open(t) // its attach is refused, and the session stays a suspect
			thief.send(keyedStart(h.node, s.id, "another", time.Minute))
			thief.requireFailure(Ydb.StatusIds_BAD_SESSION, "Attach request protection key mismatch")
			time.Sleep(10 * time.Millisecond)
			require.Equal(t, tries+5, lines.count("k"), "and at 15 ms")
			s = h.keyed(t, s.id, "k", time.Minute)
		}
		s.requireReleased("job")

		other := h.keyed(t, s.id, "k", time.Minute) // takes the session over, and the first stream ends
		s.requireFailure(Ydb.StatusIds_BAD_SESSION, "Session stolen by another local client")
		tries := lines.count("k")
		go other.answerPings()
		time.Sleep(time.Hour)
		require.Equal(t, tries, lines.count("k"))
	})
}

// A14: a session that has stopped is not checked, and neither is a session without a key.
func TestLifeline_None(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		lines := newLifelines()
		h := serve(t, withLifelines(lines))
		h.attach(t, 0, time.Minute).cancel()
		s := h.keyed(t, 0, "k", time.Minute)
		s.send(&pb.SessionRequest{Request: &pb.SessionRequest_SessionStop_{SessionStop: &pb.SessionRequest_SessionStop{}}})
		require.Equal(t, s.id, s.recv().GetSessionStopped().GetSessionId())
		s.requireEnd()
		time.Sleep(time.Hour)
		require.Zero(t, lines.sum())
	})
}

// A stream that ends before its attach to an existing session is durable also leaves a suspect (A11 is for new
// sessions).
func TestLifeline_AbandonedReattach(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		st := newGate(t)
		lines := newLifelines()
		h := serve(t, withStore(st), withLifelines(lines))
		holder, waiter := h.keyed(t, 0, "k", time.Minute), h.attach(t, 0, 30*time.Minute)
		holder.requireAcquired("job")
		waiter.requirePending("job")
		holder.cancel()
		time.Sleep(time.Second)

		st.shut()
		again := h.open(t)
		again.send(keyedStart(h.node, holder.id, "k", 2*time.Minute)) // another timeout, so that the attach writes a record
		st.awaitCommit()
		tries := lines.count("k")
		time.Sleep(time.Second)
		require.Equal(t, tries, lines.count("k"), "it is attached")
		lines.cut("k", 1)
		again.cancel()
		synctest.Wait()
		st.open()
		began := time.Now()
		waiter.requireGranted()
		require.Zero(t, time.Since(began))
		require.Equal(t, tries+1, lines.count("k"))
	})
}

// A session that is attached again while its lifeline is checked is not ended, whatever the result of the check.
func TestLifeline_CutCrossesReattach(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		lines := newLifelines()
		trying, goOn := lines.hold()
		lines.cut("k", 1)
		h := serve(t, withLifelines(lines))
		s := h.keyed(t, 0, "k", time.Minute)
		s.requireAcquired("job")
		s.cancel()
		<-trying
		back := h.keyed(t, s.id, "k", time.Minute)
		close(goOn)
		synctest.Wait()
		back.requireReleased("job")
		require.Equal(t, 1, lines.count("k"))
	})
}

// A check that does not return delays only Stop, which leaves no goroutine behind.
func TestLifeline_StopDuringTry(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		data := &memstore.Disk{}
		lines := newLifelines()
		trying, goOn := lines.hold()
		lines.cut("k", 1)
		h := serve(t, withStore(open(t, data)), withLifelines(lines))
		s, other := h.keyed(t, 0, "k", time.Minute), h.attach(t, 0, time.Minute)
		s.requireAcquired("job")
		s.cancel()
		<-trying
		other.requireAcquired("another job")
		other.cancel()

		stopped := make(chan error, 1)
		go func() { stopped <- h.server.Stop(context.WithoutCancel(t.Context())) }()
		synctest.Wait()
		require.Empty(t, stopped, "all goroutines end first")
		close(goOn)
		require.NoError(t, <-stopped)

		again := serve(t, withStore(open(t, data)), withLifelines(newLifelines()))
		require.Equal(t, s.id, again.keyed(t, s.id, "k", time.Minute).id, "there was no reaper to end it")
	})
}

// crowdOut sends a node's owner many requests while the owner cannot commit, and leaves hundreds of sessions whose
// lifelines are cut meanwhile.
func crowdOut(t *testing.T) (h *harness, st *gate, sessions int) {
	t.Helper()
	sessions = 600
	st = newGate(t)
	st.Store = open(t, detachedSessions(t, sessions))
	lines := newLifelines()
	for i := range sessions {
		lines.cut(keyOf(i+1), 5)
	}
	h = serve(t, withStore(st), withLifelines(lines))
	busy := h.attach(t, 0, time.Minute)
	st.shut()
	busy.send(acquireMessage(1, "job", forever))
	st.awaitCommit()
	for range 5_000 { // more than a full batch
		busy.send(describeMessage(1, "job"))
	}
	synctest.Wait()
	time.Sleep(time.Second)
	cut := 0
	for i := range sessions {
		if lines.count(keyOf(i+1)) == 5 {
			cut++
		}
	}
	require.Equal(t, sessions, cut, "the inbox takes the ends of all sessions")

	return h, st, sessions
}

// The end of a session waits while the owner commits, and is not lost.
func TestLifeline_CutWhileStoreIsSlow(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		h, st, sessions := crowdOut(t)
		st.open()
		synctest.Wait()
		for i := range sessions {
			late := h.open(t)
			late.send(keyedStart(h.node, uint64(i+1), keyOf(i+1), time.Minute))
			late.requireFailure(Ydb.StatusIds_SESSION_EXPIRED, "Session does not exist")
		}
	})
}

// Requests that wait do not keep the server from stopping.
func TestLifeline_StopWhileStoreIsSlow(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		h, st, _ := crowdOut(t)
		stopped := make(chan error, 1)
		go func() { stopped <- h.server.Stop(context.WithoutCancel(t.Context())) }()
		synctest.Wait()
		st.open()
		require.NoError(t, <-stopped)
	})
}

// A panic in a check, at the load or later, is logged and leaves the session to its timeout. It ends nothing else.
func TestLifeline_Panic(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		var log outputtest.Buffer
		data := detachedSessions(t, 2)
		lines := newLifelines()
		lines.act = func(key string) {
			if key == keyOf(1) {
				panic("no lifelines here")
			}
		}
		h := serve(t, withStore(open(t, data)), withLifelines(lines),
			server.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		other := h.attach(t, 0, 30*time.Minute)
		require.Contains(t, log.String(), "no lifelines here")
		require.Contains(t, log.String(), "lifeline_test.go", "the stack")
		require.NotContains(t, log.String(), keyOf(1), "keys are secret")
		s := h.keyed(t, 1, keyOf(1), 3*time.Second)
		s.requireAcquired("job")
		other.requirePending("job")

		began := time.Now()
		s.cancel()
		other.requireGranted()
		require.Equal(t, 3*time.Second, time.Since(began))
		require.Equal(t, 2, lines.count(keyOf(1)), "one at the load, one at the end of the stream")
		require.Equal(t, 2, strings.Count(log.String(), "leaving the session to its timeout"))
		require.Greater(t, lines.count(keyOf(2)), 2)
	})
}

// A server with lifelines has one more goroutine for each loaded node than a server without.
func TestLifeline_Goroutines(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		reapers := func(h *harness) int {
			createNode(t, h, h.node+"-2")
			for _, path := range []string{h.node, h.node + "-2"} {
				s := h.open(t)
				s.start(keyedStart(path, 0, "k", time.Minute))
				s.cancel()
			}
			synctest.Wait()
			stacks := make([]byte, 1<<20)

			return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "server.(*reaper).run(")
		}
		require.Zero(t, reapers(serve(t)))
		with := serve(t, withLifelines(newLifelines()))
		require.Equal(t, 2, reapers(with))
		with.stop(t)
		require.Zero(t, reapers(serve(t)))
	})
}

// Ten thousand sessions that have been detached for long cost a thousand checks a second, not forty thousand. A session
// whose stream ends meanwhile is still checked immediately.
func TestLifeline_ManyAlive(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		const sessions = 10_000
		lines := newLifelines()
		h := serve(t, withStore(open(t, detachedSessions(t, sessions))), withLifelines(lines))
		h.attach(t, 0, time.Minute).cancel() // loads the node
		time.Sleep(30 * time.Second)
		first := lines.sum()
		require.LessOrEqual(t, first, 18*sessions, "one at the load, 14 while the pauses double up to 10 s, and 2 after that")
		time.Sleep(10 * time.Second)
		require.InDelta(t, sessions, lines.sum()-first, sessions/100, "a thousand checks a second")

		holder, waiter := h.keyed(t, 0, "k", time.Minute), h.attach(t, 0, time.Minute)
		holder.requireAcquired("job")
		waiter.requirePending("job")
		lines.cut("k", 4)
		holder.cancel()
		waiter.requireGranted()
		require.Equal(t, []int64{1, 2, 4}, lines.pauses("k"))
	})
}

func keyOf(session int) string { return fmt.Sprint("key-", session) }

// detachedSessions returns a store in which the harness's node has the sessions 1 to n, with a timeout of ten minutes.
func detachedSessions(tb testing.TB, n int) *memstore.Disk {
	tb.Helper()
	var fx node.Effects
	sessions := node.New()
	for i := range n {
		sessions.Apply(1, node.Attach{
			Stream: node.StreamID(i + 1), TimeoutMillis: 600_000, ProtectionKey: []byte(keyOf(i + 1)),
		}, &fx)
	}

	return storeWith(tb, fx.Changes)
}

// storeWith returns a store in which the harness's node has the records.
func storeWith(tb testing.TB, records []node.Record) *memstore.Disk {
	tb.Helper()
	disk := &memstore.Disk{}
	st, err := disk.Open()
	require.NoError(tb, err)
	tree, err := catalog.Open(tb.Context(), st, "/local")
	require.NoError(tb, err)
	require.NoError(tb, tree.CreateNode(tb.Context(), "/local/test", catalog.Config{}))
	entry, err := tree.Lookup("/local/test")
	require.NoError(tb, err)
	require.NoError(tb, st.Commit(tb.Context(), store.Batch{Space: entry.Space, Changes: records}))
	require.NoError(tb, st.Close())

	return disk
}
