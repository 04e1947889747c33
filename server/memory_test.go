package server_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"

	"tenure/internal/bubbletest"
	"tenure/internal/outputtest"
	"tenure/internal/store"
	"tenure/internal/store/memstore"
	"tenure/server"
)

// When the nodes use all of their memory, requests for more are refused, and those that give memory back are served.
// A node that is too large for its server is not loaded, until there is room for it.
func TestMemory(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		data := &memstore.Disk{}
		h := serve(t, withStore(open(t, data)), server.WithLimits(server.Limits{Memory: 100_000}))
		createNode(t, h, "/local/other")
		s := h.attach(t, 0, time.Hour/2)
		held, full := 0, "The server has no memory for more (see --max-memory)"
		for {
			s.send(acquireMessage(1, fmt.Sprint("job-", held), forever))
			r := s.recv().GetAcquireSemaphoreResult()
			if !r.GetAcquired() {
				require.Equal(t, Ydb.StatusIds_OVERLOADED, r.GetStatus())
				require.Equal(t, full, r.GetIssues()[0].GetMessage())

				break
			}
			held++
		}
		require.InDelta(t, 214, held, 10)
		synctest.Wait() // the refusal is counted after the answer
		require.Equal(t, map[string]uint64{"node": 1}, h.server.Limits())

		for _, path := range []string{h.node, "/local/other"} {
			another := h.open(t)
			another.send(startMessage(path, 0, time.Minute))
			another.requireFailure(Ydb.StatusIds_OVERLOADED, full)
		}
		s.requireReleased("job-0")
		s.requireReleased("job-1")
		s.requireReleased("job-2")
		s.requireAcquired("job-0")
		h.stop(t)

		var log outputtest.Buffer
		small := serve(t, withStore(open(t, data)), server.WithLimits(server.Limits{Memory: 50_000}),
			server.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		for range 3 {
			late := small.open(t)
			late.send(startMessage(h.node, s.id, time.Minute))
			m, err := late.grpc.Recv()
			require.NoError(t, err)
			require.Equal(t, Ydb.StatusIds_OVERLOADED, m.GetFailure().GetStatus())
			require.Regexp(t, `^node "/local/test" is not loaded: it and the other nodes need more than \d+ bytes of memory, `+
				`and the limit is 50000 bytes: raise --max-memory, or drop a node$`, m.GetFailure().GetIssues()[0].GetMessage())
			late.requireEnd()
			synctest.Wait()
		}
		require.Equal(t, 1, strings.Count(log.String(), "node not loaded: it needs too much memory"), log.String())
		time.Sleep(time.Minute)
		late := small.open(t)
		late.send(startMessage(h.node, s.id, time.Minute))
		require.NotNil(t, late.recv().GetFailure())
		synctest.Wait()
		require.Equal(t, 2, strings.Count(log.String(), "node not loaded"))
		small.stop(t)

		same := serve(t, withStore(open(t, data)), server.WithLimits(server.Limits{Memory: 100_000}))
		back := same.attach(t, s.id, time.Minute)
		back.requireReleased("job-9")
	})
}

// The tree of nodes and directories has a bound.
func TestLimits_Nodes(t *testing.T) {
	t.Parallel()
	h := serve(t, server.WithLimits(server.Limits{Nodes: 3}))
	create := func(path string) (Ydb.StatusIds_StatusCode, string) {
		r, err := h.client.CreateNode(t.Context(), &pb.CreateNodeRequest{Path: path, Config: &pb.Config{}})
		require.NoError(t, err)

		return r.GetOperation().GetStatus(), fmt.Sprint(r.GetOperation().GetIssues())
	}
	status, issues := create("/local/a/b/c")
	require.Equal(t, Ydb.StatusIds_PRECONDITION_FAILED, status)
	require.Contains(t, issues, "there are too many nodes and directories (the limit is 3)")
	require.Equal(t, map[string]uint64{"nodes": 1}, h.server.Limits())
	status, _ = create("/local/a/b")
	require.Equal(t, Ydb.StatusIds_SUCCESS, status)
	status, _ = create("/local/c")
	require.Equal(t, Ydb.StatusIds_PRECONDITION_FAILED, status)
	status, _ = create("/local/a/b")
	require.Equal(t, Ydb.StatusIds_SUCCESS, status, "it exists")
}

// fullDisk is a store whose disk may be nearly full.
type fullDisk struct {
	store.Store

	full atomic.Bool
}

func (d *fullDisk) Full() bool { return d.full.Load() }

// While the disk is nearly full, the server refuses what would add data, and serves the rest.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := &fullDisk{Store: memstore.New()}
	h := serve(t, withStore(disk))
	s := h.attach(t, 0, time.Minute)
	s.requireAcquired("job")
	disk.full.Store(true)
	require.False(t, s.releases("nothing")) // after this batch the owner looks
	s.send(acquireMessage(1, "other", forever))
	r := s.recv().GetAcquireSemaphoreResult()
	require.Equal(t, Ydb.StatusIds_OVERLOADED, r.GetStatus())
	require.Equal(t, "The disk of the server is nearly full", r.GetIssues()[0].GetMessage())
	created, err := h.client.CreateNode(t.Context(), &pb.CreateNodeRequest{Path: "/local/new", Config: &pb.Config{}})
	require.NoError(t, err)
	require.Equal(t, Ydb.StatusIds_OVERLOADED, created.GetOperation().GetStatus())
	require.Equal(t, map[string]uint64{"disk": 1, "node": 1}, h.server.Limits())
	s.requireReleased("job")
	disk.full.Store(false)
	require.False(t, s.releases("nothing"))
	s.requireAcquired("other")
}
