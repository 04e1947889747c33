package conformance_test

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Discovery_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Discovery"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Operations"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"

	"tenure"
	"tenure/tenuretest"
)

// A session leaves an endpoint that stops answering for another endpoint from discovery. Two of five endpoints fall
// silent, one after the other, and each time it is the one that carries the session's stream. There are five because
// the SDK's balancer no longer avoids bad endpoints once more than half of them are bad. The test runs several times
// because a session that picks its next endpoint at random would pass every other time.
func TestTenure_LeavesAnEndpointThatGoesDark(t *testing.T) {
	t.Parallel()
	for range 4 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			leaveDarkEndpoints(t)
		})
	}
}

func leaveDarkEndpoints(t *testing.T) {
	t.Helper()
	const (
		timeout = 12 * time.Second
		// slack is longer than a pause of a busy machine, and shorter than one more attempt without an answer.
		slack = 2400 * time.Millisecond
	)
	srv := tenuretest.NewServer(t)
	var relays []*relay
	for range 5 {
		relays = append(relays, newRelay(t, srv))
	}
	client := tenure.New(openDriver(t, newDiscovery(t, relays), tenure.WithQuickReconnect()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Second)
		defer cancel()
		_ = client.Close(ctx)
	})
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	require.NoError(t, client.CreateNode(ctx, node, coordination.NodeConfig{}))
	session, err := client.Session(ctx, node, options.WithSessionTimeout(timeout))
	require.NoError(t, err)
	acquired, err := session.AcquireSemaphore(ctx, "job", 1, options.WithEphemeral(true))
	require.NoError(t, err)
	lease := acquired.(*tenure.Lease)

	for range 2 {
		used(t, session, relays).Silence()
		silent := lease.Deadline()
		// The client asks the node within a quarter of the timeout, notices the silence after another quarter, and then
		// opens a new stream.
		require.Eventually(t, func() bool { return lease.Deadline().After(silent.Add(timeout / 4)) },
			timeout/2+slack, 10*time.Millisecond, "the lease was not renewed over another endpoint")
	}
	require.True(t, lease.Valid())
}

// used returns the relay that carries the session's stream.
func used(t *testing.T, s coordination.Session, relays []*relay) *relay {
	t.Helper()
	before := make([]int64, len(relays))
	for i, r := range relays {
		before[i] = r.Passed()
	}
	_, err := s.DescribeSemaphore(t.Context(), "job", options.WithDescribeOwners(true))
	require.NoError(t, err)
	most := 0
	for i, r := range relays {
		if r.Passed()-before[i] > relays[most].Passed()-before[most] {
			most = i
		}
	}

	return relays[most]
}

// discovery is a discovery service that lists the relays as endpoints.
type discovery struct {
	Ydb_Discovery_V1.UnimplementedDiscoveryServiceServer

	relays []*relay
}

// newDiscovery starts a discovery service that lists the relays, and returns its DSN.
func newDiscovery(t *testing.T, relays []*relay) string {
	t.Helper()
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g := grpc.NewServer()
	Ydb_Discovery_V1.RegisterDiscoveryServiceServer(g, &discovery{relays: relays})
	served := make(chan error, 1)
	go func() { served <- g.Serve(lis) }()
	t.Cleanup(func() {
		g.Stop()
		require.NoError(t, <-served)
	})

	return "grpc://" + lis.Addr().String() + "/local"
}

func (d *discovery) ListEndpoints(
	context.Context, *Ydb_Discovery.ListEndpointsRequest,
) (*Ydb_Discovery.ListEndpointsResponse, error) {
	result := &Ydb_Discovery.ListEndpointsResult{SelfLocation: "here"}
	for i, r := range d.relays {
		host, port, err := net.SplitHostPort(r.Address())
		if err != nil {
			return nil, err
		}
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return nil, err
		}
		result.Endpoints = append(result.Endpoints, &Ydb_Discovery.EndpointInfo{
			Address: host, Port: uint32(number), NodeId: uint32(i + 1), Location: "here",
		})
	}
	packed, err := anypb.New(result)
	if err != nil {
		return nil, err
	}

	return &Ydb_Discovery.ListEndpointsResponse{Operation: &Ydb_Operations.Operation{
		Ready: true, Status: Ydb.StatusIds_SUCCESS, Result: packed,
	}}, nil
}
