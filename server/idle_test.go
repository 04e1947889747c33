package server_test

import (
	"context"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
	"tenure/internal/node"
	"tenure/internal/outputtest"
	"tenure/internal/store"
	"tenure/internal/store/memstore"
	"tenure/server"
)

// loads counts how often spaces are loaded.
type loads struct {
	store.Store

	n atomic.Int64
}

func (l *loads) Load(ctx context.Context, space store.Space) iter.Seq2[node.Record, error] {
	l.n.Add(1)

	return l.Store.Load(ctx, space)
}

// A node without sessions is unloaded after ten minutes and loaded on demand. Persistent semaphores stay. A detached
// session keeps its node loaded, and ends on time.
func TestIdle(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		st := &loads{Store: memstore.New()}
		var log outputtest.Buffer
		h := serve(t, withStore(st),
			server.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
		unloaded := func() int { return strings.Count(log.String(), "node unloaded") }
		s := h.attach(t, 0, 30*time.Minute)
		s.create("kept", "data")
		s.requireAcquired("job")
		before := st.n.Load()
		s.cancel()
		time.Sleep(25 * time.Minute)
		require.Zero(t, unloaded(), "the session exists")
		next := h.attach(t, 0, time.Minute)
		next.requirePending("job")
		began := time.Now()
		require.True(t, next.recv().GetAcquireSemaphoreResult().GetAcquired())
		require.Equal(t, 5*time.Minute, time.Since(began), "the session has ended on time")
		next.cancel()
		time.Sleep(10 * time.Minute)
		require.Zero(t, unloaded())
		time.Sleep(2 * time.Minute)
		require.Equal(t, 1, unloaded())
		require.Equal(t, before, st.n.Load())

		again := h.attach(t, 0, time.Minute)
		require.Equal(t, next.id+1, again.id)
		again.send(describeMessage(1, "kept"))
		require.Equal(t, "data", string(again.recv().GetDescribeSemaphoreResult().GetSemaphoreDescription().GetData()))
		require.Equal(t, before+1, st.n.Load())
	})
}

// A status of what is in memory keeps no node there. It loads a node only if sessions may be left from before.
func TestIdle_StatusInMemory(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		st := &loads{Store: unclosed{memstore.New()}}
		h := serve(t, withStore(st))
		first := h.attach(t, 0, time.Minute)
		first.create("kept", "data")
		first.cancel()
		h.stop(t)

		h = start(t, withStore(st))
		before := st.n.Load()
		status := func() server.NodeStatus {
			status, err := h.server.StatusInMemory(t.Context())
			require.NoError(t, err)
			require.Len(t, status.Nodes, 1)

			return status.Nodes[0]
		}
		require.Equal(t, 1, status().Sessions, "the session of before the restart")
		require.Equal(t, before+1, st.n.Load())
		time.Sleep(time.Second / 2) // so that no status is taken at the instant at which the node is unloaded
		for range 20 * 60 {
			time.Sleep(time.Second)
			_ = status()
		}
		require.Equal(t, server.NodeStatus{Path: h.node, Idle: true, Semaphores: []server.SemaphoreStatus{}}, status())
		require.Equal(t, before+1, st.n.Load())

		all, err := h.server.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, "kept", all.Nodes[0].Semaphores[0].Name)
		require.False(t, all.Nodes[0].Idle)
		require.Equal(t, all.Nodes[0], status(), "it is in memory again")
	})
}

// Streams, looks and drops that arrive while nodes are unloaded all see one owner that has everything.
func TestIdle_Race(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		st := &loads{Store: memstore.New()}
		h := serve(t, withStore(st))
		var ids atomic.Uint64
		for range 30 {
			time.Sleep(10 * time.Minute) // the owner and those who need it run at the same instant
			var all sync.WaitGroup
			for i := range 4 {
				all.Go(func() {
					if i == 3 {
						_, err := h.server.Status(t.Context())
						require.NoError(t, err)

						return
					}
					s := h.attach(t, 0, time.Minute)
					ids.Store(max(ids.Load(), s.id))
					s.send(describeMessage(1, "none"))
					require.NotNil(t, s.recv().GetDescribeSemaphoreResult())
					s.cancel()
				})
			}
			all.Wait()
			time.Sleep(61 * time.Second)
			s := h.attach(t, 0, 0)
			require.Greater(t, s.id, ids.Load(), "ids are never used again")
			s.cancel()
			synctest.Wait()
		}
		require.Greater(t, st.n.Load(), int64(10))
	})
}

// held is a log that waits when it is told that a node is unloaded.
type held struct{ wait chan struct{} }

func (h held) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "node unloaded") {
		<-h.wait
	}

	return len(p), nil
}

// Whoever finds an owner that is about to end gets the next one.
func TestIdle_Ending(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		log := held{make(chan struct{})}
		h := serve(t, server.WithLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
		h.attach(t, 0, 0).cancel()
		time.Sleep(10*time.Minute + time.Second)
		late, look := h.open(t), make(chan error, 1)
		late.send(startMessage(h.node, 0, time.Minute))
		go func() {
			_, err := h.server.Status(t.Context())
			look <- err
		}()
		synctest.Wait()
		close(log.wait)
		require.EqualValues(t, 2, late.recv().GetSessionStarted().GetSessionId())
		require.NoError(t, <-look)
	})
}
