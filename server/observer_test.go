package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"

	"tenure/internal/access"
	"tenure/internal/audit"
	"tenure/internal/bubbletest"
	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/serverconfig"
	"tenure/server"
)

// watched is a server that is looked into.
type watched struct {
	*harness
	admin serverconfig.Admin
	log   *audit.Log
	text  bytes.Buffer
}

func watch(t *testing.T) *watched {
	t.Helper()
	w := &watched{admin: serverconfig.Admin{Count: true}}
	var err error
	w.log, err = audit.Open(audit.Config{Writer: &w.text, Clock: clock.Go()})
	require.NoError(t, err)
	w.harness = serve(t, func(c *serverconfig.Config) { c.Admin, c.Audit = &w.admin, w.log })

	return w
}

var _ server.Option

// lines returns the audit log in short form. It closes the log.
func (w *watched) lines(t *testing.T) (lines []string) {
	t.Helper()
	require.NoError(t, w.log.Close())
	for line := range strings.Lines(w.text.String()) {
		var e audit.Event
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s %d %s waited=%v held=%v %s",
			e.Kind, e.Node, e.Semaphore, e.Token, e.Reason, e.Waited, e.Held, e.Who)))
	}

	return lines
}

// The audit log has the beginning and the end of each grant with its cause, and the numbers agree with it.
func TestObserver(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		w := watch(t)
		one, two := w.open(t), w.open(t)
		one.start(keyedStart(w.node, 0, "secret", 5*time.Second))
		two.start(keyedStart(w.node, 0, "", time.Minute))
		one.requireAcquired("job")
		two.send(acquireMessage(1, "job", forever))
		two.recv() // pending
		time.Sleep(2 * time.Second)

		s := w.admin.Stats(t.Context())
		require.True(t, s.Ready)
		require.Equal(t, 2, s.Streams)
		require.Len(t, s.Nodes, 1)
		n := s.Nodes[0]
		require.Equal(t, node.Sizes{Sessions: 2, Attached: 2, Semaphores: 1, Owners: 1, Waiters: 1}, n.Sizes)
		require.Equal(t, 2*time.Second, n.Wait)
		require.Equal(t, 2*time.Second, n.Hold)
		require.Zero(t, n.Detached)

		thief := w.open(t)
		thief.send(keyedStart(w.node, one.id, "wrong", time.Second))
		require.Equal(t, node.WrongKey, thief.recv().GetFailure().GetIssues()[0].GetMessage())

		one.cancel()
		synctest.Wait()
		time.Sleep(3 * time.Second)
		require.Equal(t, 3*time.Second, w.admin.Stats(t.Context()).Nodes[0].Detached)
		require.True(t, two.recv().GetAcquireSemaphoreResult().GetAcquired(), "the session of one has expired")
		two.requireReleased("job")
		sems, err := w.admin.Semaphores(t.Context(), "j*")
		require.NoError(t, err)
		require.Empty(t, sems["/local/test"], "it was ephemeral")
		two.requireAcquired("other")
		by := serverconfig.Requester{User: "ann", Address: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: 80}}
		require.ErrorIs(t, w.admin.EndSession(t.Context(), by, w.node, 77, 0), server.ErrNoSession)
		require.ErrorIs(t, w.admin.EndSession(t.Context(), by, "/local/none", 77, 0), server.ErrNoNode)
		require.ErrorIs(t, w.admin.EndSession(t.Context(), by, w.node, two.id, 2), server.ErrNoSession, "released since")
		require.NoError(t, w.admin.EndSession(t.Context(), by, w.node, two.id, 3))
		three := w.open(t)
		three.start(keyedStart(w.node, 0, "", time.Minute))
		three.requireAcquired("job")
		synctest.Wait()

		s = w.admin.Stats(t.Context())
		n = s.Nodes[0]
		require.EqualValues(t, 4, n.Granted)
		require.EqualValues(t, 1, n.Ends[node.ByExpiry])
		require.EqualValues(t, 1, n.Ends[node.ByRelease])
		require.EqualValues(t, 1, n.Ends[node.ByOperator])
		require.EqualValues(t, 4, n.Waits.Count)
		require.EqualValues(t, 1, s.Denials["protection_key"])
		require.EqualValues(t, 1, s.StreamEnds["broken"])
		require.EqualValues(t, 2, s.StreamEnds["refused"])
		require.Positive(t, n.Commits.Count)

		_, err = w.client.DropNode(t.Context(), &pb.DropNodeRequest{Path: w.node})
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, []string{
			"start   0  waited=0s held=0s",
			"node_create /local/test  0  waited=0s held=0s",
			"grant /local/test job 1  waited=0s held=0s",
			"wait /local/test job 2  waited=0s held=0s",
			"denied /local/test  0 protection_key waited=0s held=0s",
			"end /local/test job 1 expired waited=0s held=7s",
			"grant /local/test job 2  waited=7s held=0s",
			"end /local/test job 2 released waited=0s held=0s",
			"grant /local/test other 3  waited=0s held=0s",
			"end /local/test other 3 operator waited=0s held=0s",
			"session_end /local/test  3  waited=0s held=0s",
			"grant /local/test job 4  waited=0s held=0s",
			"end /local/test job 4 dropped waited=0s held=0s",
			"node_drop /local/test  0  waited=0s held=0s",
		}, w.lines(t))
		_, err = w.admin.Allow("", access.Full, by.Address)
		require.NoError(t, err, "the server has no users")
		require.NoError(t, w.admin.Live())
		require.NoError(t, w.admin.Ready())
		w.admin.Drain()
		require.EqualError(t, w.admin.Ready(), "the server is stopping")
	})
}
