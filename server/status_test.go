package server_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Scheme_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Scheme"

	"tenure/internal/bubbletest"
	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/store/memstore"
	"tenure/server"
)

// The JSON form is documented and stable. A change of an existing line breaks scripts.
const statusJSON = `{
  "nodes": [
    {
      "path": "/local/a/b",
      "sessions": 1,
      "semaphores": [
        {
          "name": "job",
          "limit": 18446744073709551615,
          "count": 18446744073709551615,
          "ephemeral": true,
          "data": "",
          "owners": [
            {
              "session": 1,
              "attached": false,
              "since_before": "2000-01-01T00:00:00Z",
              "ends": "2000-01-01T00:01:10Z",
              "description": "",
              "token": 1,
              "count": 18446744073709551615,
              "data": ""
            }
          ],
          "waiters": []
        }
      ]
    },
    {
      "path": "/local/empty",
      "sessions": 0,
      "semaphores": []
    },
    {
      "path": "/local/test",
      "sessions": 3,
      "semaphores": [
        {
          "name": "a",
          "limit": 1,
          "count": 0,
          "ephemeral": false,
          "data": "bad �!",
          "owners": [],
          "waiters": []
        },
        {
          "name": "b",
          "limit": 3,
          "count": 3,
          "ephemeral": false,
          "data": "",
          "owners": [
            {
              "session": 1,
              "attached": true,
              "since": "2000-01-01T00:00:00Z",
              "description": "one",
              "token": 1,
              "count": 2,
              "data": "x1"
            },
            {
              "session": 2,
              "attached": false,
              "since": "2000-01-01T00:00:00Z",
              "ends": "2000-01-01T00:01:00Z",
              "description": "two",
              "token": 2,
              "count": 1,
              "data": "x2"
            }
          ],
          "waiters": [
            {
              "session": 3,
              "attached": true,
              "since": "2000-01-01T00:00:00Z",
              "description": "",
              "token": 3,
              "count": 1,
              "data": "x3"
            }
          ]
        }
      ]
    }
  ]
}`

// Status shows every node by path, used or not, with its semaphores by name. It shows no protection key.
func TestStatus(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		data := &memstore.Disk{}
		h := serve(t, withStore(open(t, data)))
		createNode(t, h, "/local/a/b")
		other := h.open(t)
		other.start(keyedStart("/local/a/b", 0, "secret", time.Minute))
		other.requireAcquired("job")
		h.stop(t)

		h = serve(t, withStore(open(t, data))) // "/local/a/b" is not loaded
		createNode(t, h, "/local/empty")
		var sessions []*session
		for _, description := range []string{"one", "two", ""} {
			s, start := h.open(t), keyedStart(h.node, 0, "secret", time.Minute)
			start.GetSessionStart().Description = description
			s.start(start)
			sessions = append(sessions, s)
		}
		one := sessions[0]
		for name, limit := range map[string]uint64{"b": 3, "a": 1} {
			one.send(&pb.SessionRequest{Request: &pb.SessionRequest_CreateSemaphore_{
				CreateSemaphore: &pb.SessionRequest_CreateSemaphore{Name: name, Limit: limit},
			}})
			require.Equal(t, Ydb.StatusIds_SUCCESS, one.recv().GetCreateSemaphoreResult().GetStatus())
		}
		one.send(&pb.SessionRequest{Request: &pb.SessionRequest_UpdateSemaphore_{
			UpdateSemaphore: &pb.SessionRequest_UpdateSemaphore{Name: "a", Data: []byte("bad \xff\xfe!")},
		}})
		require.Equal(t, Ydb.StatusIds_SUCCESS, one.recv().GetUpdateSemaphoreResult().GetStatus())
		for i, s := range sessions {
			acquire := acquireMessage(1, "b", forever)
			r := acquire.GetAcquireSemaphore()
			r.Ephemeral, r.Count, r.Data = false, []uint64{2, 1, 1}[i], fmt.Append(nil, "x", s.id)
			s.send(acquire)
			s.recv()
		}
		sessions[1].cancel()
		synctest.Wait()

		status, err := h.server.Status(t.Context())
		require.NoError(t, err)
		encoded, err := json.Marshal(status)
		require.NoError(t, err)
		require.JSONEq(t, statusJSON, string(encoded))
	})
}

// A server without nodes has an empty list, not null.
func TestStatus_Empty(t *testing.T) {
	srv, err := server.New()
	require.NoError(t, err)
	status, err := srv.Status(t.Context())
	require.NoError(t, err)
	encoded, err := json.Marshal(status)
	require.NoError(t, err)
	require.JSONEq(t, `{"nodes": []}`, string(encoded))
	require.NoError(t, srv.Stop(t.Context()))
}

// A server that has stopped says so, whether or not it has nodes. An empty list would look like that of a server that
// nobody uses.
func TestStatus_AfterStop(t *testing.T) {
	for name, h := range map[string]*harness{"without nodes": start(t), "with a node": serve(t)} {
		require.NoError(t, h.server.Stop(t.Context()), name)
		for _, status := range []func(context.Context) (server.Status, error){h.server.Status, h.server.StatusInMemory} {
			_, err := status(t.Context())
			require.ErrorContains(t, err, "the server is stopping", name)
		}
	}
}

// statusLater calls Status in a goroutine, and returns a channel with the outcome.
func statusLater(t *testing.T, h *harness) (outcome chan error, seen *server.Status) {
	t.Helper()
	outcome, seen = make(chan error, 1), &server.Status{}
	go func() {
		var err error
		*seen, err = h.server.Status(t.Context())
		outcome <- err
	}()

	return outcome, seen
}

// Status waits until everything that it shows is durable.
func TestStatus_WaitsForWhatItSees(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		st := newGate(t)
		h := serve(t, withStore(st))
		one, two := h.attach(t, 0, time.Minute), h.attach(t, 0, time.Minute)
		st.shut()
		one.send(acquireMessage(1, "one", forever))
		st.awaitCommit()
		outcome, seen := statusLater(t, h)
		synctest.Wait()
		two.send(acquireMessage(1, "two", forever)) // may be applied before the snapshot or after it
		synctest.Wait()
		require.Empty(t, outcome)
		st.open()
		require.NoError(t, <-outcome)
		require.Equal(t, "one", seen.Nodes[0].Semaphores[0].Name)
		require.True(t, two.recv().GetAcquireSemaphoreResult().GetAcquired())
	})
}

// unsettled is a server whose store has not yet committed an acquire.
func unsettled(t *testing.T) (*harness, *gate) {
	t.Helper()
	st := newGate(t)
	h := serve(t, withStore(st))
	s := h.attach(t, 0, time.Minute)
	st.shut()
	s.send(acquireMessage(1, "job", forever))
	st.awaitCommit()

	return h, st
}

// Status returns when its context ends.
func TestStatus_ContextEnds(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		h, st := unsettled(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := h.server.Status(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, `status of node "/local/test"`)
		st.open()
	})
}

// When the server stops, a Status call that waits returns that as its error, or the result.
func TestStatus_ServerStops(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		h, st := unsettled(t)
		outcome, seen := statusLater(t, h)
		synctest.Wait()
		stopped := make(chan error, 1)
		go func() { stopped <- h.server.Stop(context.WithoutCancel(t.Context())) }()
		synctest.Wait()
		require.Empty(t, outcome)
		st.open()
		require.ErrorContains(t, <-outcome, "the server is stopping")
		require.Empty(t, seen.Nodes)
		require.NoError(t, <-stopped)

		_, err := h.server.Status(t.Context())
		require.ErrorContains(t, err, "the server is stopping")
	})
}

// Once the store has failed, Status fails too. The store might still answer, but the answer may be wrong.
func TestStatus_StoreFails(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		h, st := unsettled(t)
		outcome, _ := statusLater(t, h)
		synctest.Wait()
		st.fail()
		st.open()
		require.ErrorIs(t, <-outcome, errDisk)
		require.ErrorIs(t, <-h.served, errDisk)
		_, err := h.server.Status(t.Context())
		require.ErrorIs(t, err, errDisk)
	})
}

// If a node cannot be loaded, the error names it. Status does not leave it out.
func TestStatus_DamagedNode(t *testing.T) {
	damaged := storeWith(t, []node.Record{{Key: []byte("s"), Value: []byte("x")}})
	srv := newServer(t, damaged)
	_, err := srv.Status(t.Context())
	require.ErrorIs(t, err, node.ErrDamaged)
	require.ErrorContains(t, err, `status of node "/local/test"`)
	require.NoError(t, srv.Stop(t.Context()))
}

// A node that is dropped, or a directory that is removed, while Status is running is left out.
func TestStatus_RacesWithDrop(t *testing.T) {
	h := serve(t)
	scheme := Ydb_Scheme_V1.NewSchemeServiceClient(h.conn)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 300 {
			dir := fmt.Sprint("/local/d", i%3)
			_, _ = h.client.CreateNode(t.Context(), &pb.CreateNodeRequest{Path: dir + "/n", Config: &pb.Config{}})
			_, _ = h.client.DropNode(t.Context(), &pb.DropNodeRequest{Path: dir + "/n"})
			_, _ = scheme.RemoveDirectory(t.Context(), &Ydb_Scheme.RemoveDirectoryRequest{Path: dir})
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		status, err := h.server.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, h.node, status.Nodes[len(status.Nodes)-1].Path)
		runtime.Gosched() // on one processor, two goroutines that wake each other starve the others
	}
}

// Under load, each node is shown at one moment. An owner of the inner lock is also an owner of the outer one, since all
// sessions acquire them in one order and release them in the other. Counts are sums, and tokens grow from the first
// owner to the last waiter.
func TestStatus_IsOneMoment(t *testing.T) {
	h := serve(t)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 6 {
		s := h.attach(t, 0, time.Minute)
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for _, name := range []string{"outer", "inner"} {
					s.send(acquireMessage(1, name, forever))
					for s.recv().GetAcquireSemaphoreResult() == nil { // pending first
					}
				}
				s.requireReleased("inner")
				s.requireReleased("outer")
			}
		})
	}
	held := 0
	var last uint64
	for looks := 0; looks < 100 || held == 0; looks++ {
		status, err := h.server.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, 6, status.Nodes[0].Sessions)
		owner := map[string]uint64{}
		for _, sem := range status.Nodes[0].Semaphores {
			require.Len(t, sem.Owners, 1, "an ephemeral one is there as long as somebody uses it")
			require.Equal(t, sem.Owners[0].Count, sem.Count)
			owner[sem.Name] = sem.Owners[0].Session
			all := slices.Concat(sem.Owners, sem.Waiters)
			require.True(t, slices.IsSortedFunc(all, func(a, b server.HolderStatus) int {
				return cmp.Compare(a.Token, b.Token)
			}))
			if sem.Name == "outer" {
				require.GreaterOrEqual(t, all[0].Token, last)
				last = all[0].Token
			}
		}
		if owner["inner"] != 0 {
			held++
			require.Equal(t, owner["outer"], owner["inner"])
		}
		runtime.Gosched()
	}
	close(stop)
	wg.Wait()
}

// BenchmarkStatus measures Status for a node with 100,000 owned semaphores. BenchmarkNode_Snapshot measures the part of
// it for which other requests wait.
func BenchmarkStatus(b *testing.B) {
	const held = 100_000
	var fx node.Effects
	n := node.New()
	for i := range held {
		id := uint64(i + 1)
		n.Apply(1, node.Attach{Stream: node.StreamID(id), TimeoutMillis: 600_000}, &fx)
		n.Apply(1, node.Acquire{
			From: node.From{Stream: node.StreamID(id), Session: id}, Semaphore: fmt.Sprint("of ", id), Count: 1,
			Ephemeral: true, Data: []byte("user@host, pid 1234"),
		}, &fx)
	}
	srv := newServer(b, storeWith(b, fx.Changes))
	b.ReportAllocs()
	for b.Loop() {
		if s, err := srv.Status(b.Context()); err != nil || len(s.Nodes[0].Semaphores) != held {
			b.Fatal(err)
		}
	}
	require.NoError(b, srv.Stop(b.Context()))
}

// BenchmarkLoad measures the start of a server with 10,000 sessions, without lifelines and with lifelines whose checks
// cost nothing and find all of them alive. The difference is the cost of the reaper. A real check takes 3 us without
// contention.
func BenchmarkLoad(b *testing.B) {
	for name, opts := range map[string][]server.Option{
		"lifelines=none":  nil,
		"lifelines=alive": {withLifelines(alive{})},
	} {
		b.Run(name, func(b *testing.B) {
			disk := detachedSessions(b, 10_000)
			b.ReportAllocs()
			for b.Loop() {
				srv := newServer(b, disk, opts...)
				if s, err := srv.Status(b.Context()); err != nil || s.Nodes[0].Sessions != 10_000 {
					b.Fatal(err)
				}
				require.NoError(b, srv.Stop(b.Context()))
			}
		})
	}
}

// alive implements Lifelines. None of them is cut.
type alive struct{}

func (alive) Cut(string) bool { return false }

func newServer(tb testing.TB, disk *memstore.Disk, opts ...server.Option) *server.Server {
	tb.Helper()
	st, err := disk.Open()
	require.NoError(tb, err)
	srv, err := server.New(append(opts, withStore(st), withClock(clock.Go()))...)
	require.NoError(tb, err)

	return srv
}
