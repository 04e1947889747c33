package server_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"

	"tenure/internal/bubbletest"
	"tenure/internal/serverconfig"
	"tenure/internal/store"
	"tenure/internal/store/storetest"
)

// A server misses no node that another server has created, however slow it is to learn of it.
func TestCommon_NodesOfOthers(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		cluster := storetest.NewCluster()
		slow := cluster.Open("slow")
		a, b := start(t, withStore(cluster.Open("other"))), start(t, withStore(slow))
		absent := b.open(t)
		absent.send(startMessage(b.node, 0, time.Minute))
		absent.requireFailure(Ydb.StatusIds_NOT_FOUND, "Kesus not found")
		slow.Hold(true)
		a.createNode(t)
		s := b.open(t)
		s.send(startMessage(b.node, 0, time.Minute))
		described := make(chan error)
		go func() {
			r, err := b.client.DescribeNode(t.Context(), &pb.DescribeNodeRequest{Path: b.node})
			if r.GetOperation().GetStatus() != Ydb.StatusIds_SUCCESS {
				err = errors.Join(err, errors.New(r.String()))
			}
			described <- err
		}()
		synctest.Wait()
		require.Empty(t, described, "it waits until it knows")
		slow.Hold(false)
		require.NoError(t, <-described)
		require.NotZero(t, s.recv().GetSessionStarted().GetSessionId())
	})
}

// A node that another server drops ends the streams of its owner. The node that is created at the path later is another
// one, and any server can serve it.
func TestCommon_DropThroughAnother(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		cluster := storetest.NewCluster()
		slow := cluster.Open("slow")
		a, b := serve(t, withStore(slow)), start(t, withStore(cluster.Open("other")))
		for _, hold := range []bool{false, true} { // the owner learns of it from the catalog, or from its fence
			s := a.attach(t, 0, time.Minute)
			slow.Hold(hold)
			dropped, err := b.client.DropNode(t.Context(), &pb.DropNodeRequest{Path: a.node})
			requireSuccess(t, dropped, err, nil)
			if hold {
				s.send(describeMessage(1, "a"))
			}
			s.requireFailure(Ydb.StatusIds_UNAVAILABLE, "the coordination node was dropped")
			slow.Hold(false)

			late := a.open(t)
			late.send(startMessage(a.node, s.id, time.Minute))
			late.requireFailure(Ydb.StatusIds_NOT_FOUND, "Kesus not found")
			b.createNode(t)
			again := a.open(t)
			again.send(startMessage(a.node, s.id, time.Minute))
			again.requireFailure(Ydb.StatusIds_SESSION_EXPIRED, "Session does not exist")
		}
		require.NotZero(t, a.attach(t, 0, time.Minute).id)
	})
}

// unsure is a store whose changes of the catalog have an unknown outcome.
type unsure struct{ *storetest.Server }

var errUnsure = errors.New("no answer")

func (u unsure) CommitAt(ctx context.Context, version uint64, b store.Batch) error {
	return errors.Join(u.Server.CommitAt(ctx, version, b), errUnsure)
}

// A change whose outcome is unknown does not end a server that shares the store.
func TestCommon_UnknownOutcome(t *testing.T) {
	t.Parallel()
	h := start(t, withStore(unsure{storetest.NewCluster().Open("server")}))
	r, err := h.client.CreateNode(t.Context(), &pb.CreateNodeRequest{Path: h.node})
	requireRefused(t, r, err, Ydb.StatusIds_UNDETERMINED, "the change may or may not be stored: no answer")
	require.NotZero(t, h.attach(t, 0, time.Minute).id)
}

// sick is a store that may be out of reach.
type sick struct {
	*storetest.Server

	err error
}

func (s *sick) Ready() error { return s.err }

// A server whose store cannot be used is not ready, and says why.
func TestCommon_NotReadyWithoutTheStore(t *testing.T) {
	t.Parallel()
	st := &sick{Server: storetest.NewCluster().Open("server")}
	var admin serverconfig.Admin
	start(t, withStore(st), func(c *serverconfig.Config) { c.Admin = &admin })
	require.NoError(t, admin.Ready())
	st.err = errors.New("no quorum")
	require.EqualError(t, admin.Ready(), "no quorum")
}
