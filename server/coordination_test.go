package server_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Scheme"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tenure/internal/bubbletest"
	"tenure/internal/store"
	"tenure/internal/store/memstore"
)

func TestNode_CreateDescribeAlterDrop(t *testing.T) {
	t.Parallel()
	h := serve(t)
	const path = "/local/a/n"
	given := &pb.Config{
		SelfCheckPeriodMillis:    700,
		SessionGracePeriodMillis: 1,
		ReadConsistencyMode:      pb.ConsistencyMode_CONSISTENCY_MODE_STRICT,
		RateLimiterCountersMode:  pb.RateLimiterCountersMode_RATE_LIMITER_COUNTERS_MODE_DETAILED,
	}
	created, err := h.client.CreateNode(t.Context(), &pb.CreateNodeRequest{Path: path, Config: given})
	requireSuccess(t, created, err, nil)

	describe := func() *pb.DescribeNodeResult {
		var result pb.DescribeNodeResult
		r, err := h.client.DescribeNode(t.Context(), &pb.DescribeNodeRequest{Path: "//local/a//n/"})
		requireSuccess(t, r, err, &result)

		return &result
	}
	got := describe()
	requireProto(t, given, got.GetConfig())
	requireProto(t, &Ydb_Scheme.Entry{
		Name: "n", Owner: "anonymous", Type: Ydb_Scheme.Entry_COORDINATION_NODE,
		EffectivePermissions: []*Ydb_Scheme.Permissions{
			{Subject: "all-users@well-known", PermissionNames: []string{"ydb.generic.full"}},
		},
	}, got.GetSelf())

	altered, err := h.client.AlterNode(t.Context(), &pb.AlterNodeRequest{Path: path, Config: &pb.Config{
		SessionGracePeriodMillis: 9_000,
		AttachConsistencyMode:    pb.ConsistencyMode_CONSISTENCY_MODE_RELAXED,
	}})
	requireSuccess(t, altered, err, nil)
	given.SessionGracePeriodMillis = 9_000
	given.AttachConsistencyMode = pb.ConsistencyMode_CONSISTENCY_MODE_RELAXED
	requireProto(t, given, describe().GetConfig())

	dropped, err := h.client.DropNode(t.Context(), &pb.DropNodeRequest{Path: path})
	requireSuccess(t, dropped, err, nil)
	r, err := h.client.DescribeNode(t.Context(), &pb.DescribeNodeRequest{Path: path})
	requireRefused(t, r, err, Ydb.StatusIds_SCHEME_ERROR, "does not exist")
}

func TestNode_Refused(t *testing.T) {
	t.Parallel()
	h := serve(t)
	ctx := t.Context()
	withPath := &pb.Config{Path: "/local/n"}

	created, err := h.client.CreateNode(ctx, &pb.CreateNodeRequest{Path: "/local/n", Config: withPath})
	requireRefused(t, created, err, Ydb.StatusIds_BAD_REQUEST, "Setting path is not allowed") // N1
	created, err = h.client.CreateNode(ctx, &pb.CreateNodeRequest{})
	requireRefused(t, created, err, Ydb.StatusIds_BAD_REQUEST, "path is empty")
	created, err = h.client.CreateNode(ctx, &pb.CreateNodeRequest{Path: h.node + "/below"})
	requireRefused(t, created, err, Ydb.StatusIds_SCHEME_ERROR, "below the coordination node")
	created, err = h.client.CreateNode(ctx, &pb.CreateNodeRequest{
		Path: "/local/n", Config: &pb.Config{ReadConsistencyMode: -1},
	})
	requireRefused(t, created, err, Ydb.StatusIds_BAD_REQUEST, "read_consistency_mode -1 is unknown")

	altered, err := h.client.AlterNode(ctx, &pb.AlterNodeRequest{Path: h.node})
	requireRefused(t, altered, err, Ydb.StatusIds_BAD_REQUEST, "Missing changes to coordination node config") // N2
	altered, err = h.client.AlterNode(ctx, &pb.AlterNodeRequest{Path: h.node, Config: withPath})
	requireRefused(t, altered, err, Ydb.StatusIds_BAD_REQUEST, "Setting path is not allowed")
	altered, err = h.client.AlterNode(ctx, &pb.AlterNodeRequest{Path: "/local/n", Config: &pb.Config{}})
	requireRefused(t, altered, err, Ydb.StatusIds_SCHEME_ERROR, "does not exist")

	dropped, err := h.client.DropNode(ctx, &pb.DropNodeRequest{Path: "/local/n"})
	requireRefused(t, dropped, err, Ydb.StatusIds_SCHEME_ERROR, "does not exist") // N3
	dropped, err = h.client.DropNode(ctx, &pb.DropNodeRequest{Path: "/local"})
	requireRefused(t, dropped, err, Ydb.StatusIds_SCHEME_ERROR, "is a directory")

	described, err := h.client.DescribeNode(ctx, &pb.DescribeNodeRequest{Path: "/local"})
	requireRefused(t, described, err, Ydb.StatusIds_SCHEME_ERROR, "is a directory") // N4
}

// N3: a drop ends the streams of the node. A node that is created at the same path later is another node.
func TestDropNode_EndsItsStreams(t *testing.T) {
	t.Parallel()
	h := serve(t)
	s := h.attach(t, 0, time.Minute)

	dropped, err := h.client.DropNode(t.Context(), &pb.DropNodeRequest{Path: h.node})
	requireSuccess(t, dropped, err, nil)
	s.requireFailure(Ydb.StatusIds_UNAVAILABLE, "the coordination node was dropped")

	late := h.open(t)
	late.send(startMessage(h.node, s.id, time.Minute))
	late.requireFailure(Ydb.StatusIds_NOT_FOUND, "Kesus not found")

	created, err := h.client.CreateNode(t.Context(), &pb.CreateNodeRequest{Path: h.node})
	requireSuccess(t, created, err, nil)
	again := h.open(t)
	again.send(startMessage(h.node, s.id, time.Minute))
	again.requireFailure(Ydb.StatusIds_SESSION_EXPIRED, "Session does not exist")
}

// The server never reports success for a change whose outcome is unknown, and it stops: only the store knows the
// outcome.
func TestCreateNode_FailedCommitStopsServer(t *testing.T) {
	t.Parallel()
	st := newGate(t)
	h := serve(t, withStore(st))
	st.fail()

	r, err := h.client.CreateNode(t.Context(), &pb.CreateNodeRequest{Path: "/local/n"})
	if err != nil { // the server ended before it sent the answer
		require.Equal(t, codes.Unavailable, status.Code(err))
	} else {
		requireRefused(t, r, err, Ydb.StatusIds_UNDETERMINED, errDisk.Error())
	}
	require.ErrorIs(t, <-h.served, errDisk)
}

// N3: a drop that has ended the streams is completed, even if its caller has gone.
func TestDropNode_CallerGoesAway(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		st := newGate(t)
		h := serve(t, withStore(st))
		s := h.attach(t, 0, time.Minute)
		st.shut()
		var calls errgroup.Group
		calls.Go(func() error {
			_, err := h.scheme().MakeDirectory(t.Context(), &Ydb_Scheme.MakeDirectoryRequest{Path: "/local/d"})

			return err
		})
		st.awaitCommit()

		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		calls.Go(func() error {
			_, err := h.client.DropNode(ctx, &pb.DropNodeRequest{Path: h.node})
			if status.Code(err) != codes.Canceled {
				return fmt.Errorf("drop that was called off: %w", err)
			}

			return nil
		})
		s.requireFailure(Ydb.StatusIds_UNAVAILABLE, "the coordination node was dropped")
		synctest.Wait() // the drop waits for the other change
		leave()
		synctest.Wait()
		st.open()
		require.NoError(t, calls.Wait())
		synctest.Wait()

		r, err := h.client.DescribeNode(t.Context(), &pb.DescribeNodeRequest{Path: h.node})
		requireRefused(t, r, err, Ydb.StatusIds_SCHEME_ERROR, "does not exist")
	})
}

// N3: nothing is ever written to the space of a dropped node, however drops, creates, attaches and leaving callers
// overlap.
func TestDropNode_LeavesNothing(t *testing.T) {
	t.Parallel()
	st := memstore.New()
	h := serve(t, withStore(unclosed{st}))
	var clients errgroup.Group
	for i := range 4 {
		clients.Go(func() error { return h.workOften(t.Context(), fmt.Sprint("job-", i)) })
	}
	for range 2 {
		clients.Go(func() error { return h.replaceOften(t.Context()) })
	}
	require.NoError(t, clients.Wait())

	// A drop whose caller has gone may have removed the node already.
	r, err := h.client.DropNode(t.Context(), &pb.DropNodeRequest{Path: h.node})
	require.NoError(t, err)
	require.Contains(t, []Ydb.StatusIds_StatusCode{Ydb.StatusIds_SUCCESS, Ydb.StatusIds_SCHEME_ERROR},
		r.GetOperation().GetStatus())
	h.stop(t)
	for space := store.Space(1); space <= 2*replacements+1; space++ {
		for record, err := range st.Load(t.Context(), space) {
			require.NoError(t, err)
			require.Fail(t, "left in a dropped space", "space %d: %q", space, record.Key)
		}
	}
}

// workOften attaches, acquires a semaphore and breaks the stream, repeatedly, whenever the node exists.
func (h *harness) workOften(ctx context.Context, name string) error {
	for n := range 30 {
		ctx, cancel := context.WithCancel(ctx)
		stream, err := h.client.Session(ctx)
		if err != nil {
			cancel()

			return err
		}
		_ = stream.Send(startMessage(h.node, 0, time.Minute)) // the stream may have ended already: Recv returns the error
		_ = stream.Send(acquireMessage(1, fmt.Sprint(name, n), 0))
		for {
			m, err := stream.Recv()
			if err != nil || m.GetFailure() != nil || m.GetAcquireSemaphoreResult() != nil {
				break
			}
		}
		cancel()
	}

	return nil
}

const replacements = 60

// replaceOften drops and creates the node repeatedly, sometimes without waiting for the answer to the drop.
func (h *harness) replaceOften(ctx context.Context) error {
	for range replacements {
		patient, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(1_000))*time.Microsecond)
		_, _ = h.client.DropNode(patient, &pb.DropNodeRequest{Path: h.node})
		cancel()
		r, err := h.client.CreateNode(ctx, &pb.CreateNodeRequest{Path: h.node})
		if err != nil {
			return err
		}
		if s := r.GetOperation().GetStatus(); s != Ydb.StatusIds_SUCCESS {
			return fmt.Errorf("create the node: %v", s)
		}
	}

	return nil
}

// unclosed is a store that stays open when the server closes it, so that the test can read it.
type unclosed struct{ store.Store }

func (unclosed) Close() error { return nil }
