package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Discovery_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Discovery"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Operations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"tenure/internal/cli"
	"tenure/internal/outputtest"
)

// A refuser is a server that lets clients connect, and then refuses what they ask for.
type refuser struct {
	Ydb_Discovery_V1.UnimplementedDiscoveryServiceServer
	Ydb_Coordination_V1.UnimplementedCoordinationServiceServer

	port    uint32
	hasNode bool // it describes nodes
	code    codes.Code
}

func success(t proto.Message) *Ydb_Operations.Operation {
	result, err := anypb.New(t)
	if err != nil {
		panic(err)
	}

	return &Ydb_Operations.Operation{Ready: true, Status: Ydb.StatusIds_SUCCESS, Result: result}
}

func (r *refuser) refuse() error { return status.Error(r.code, "not now") }

func (r *refuser) ListEndpoints(
	context.Context, *Ydb_Discovery.ListEndpointsRequest,
) (*Ydb_Discovery.ListEndpointsResponse, error) {
	return &Ydb_Discovery.ListEndpointsResponse{Operation: success(&Ydb_Discovery.ListEndpointsResult{
		Endpoints: []*Ydb_Discovery.EndpointInfo{{Address: "127.0.0.1", Port: r.port}},
	})}, nil
}

func (r *refuser) DescribeNode(context.Context, *pb.DescribeNodeRequest) (*pb.DescribeNodeResponse, error) {
	if !r.hasNode {
		return nil, r.refuse()
	}

	return &pb.DescribeNodeResponse{Operation: success(&pb.DescribeNodeResult{})}, nil
}

func (r *refuser) Session(Ydb_Coordination_V1.CoordinationService_SessionServer) error {
	return r.refuse()
}

func (r *refuser) serve(t *testing.T) (dsn string) {
	t.Helper()
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r.port = uint32(lis.Addr().(*net.TCPAddr).Port)
	srv := grpc.NewServer(grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error { return r.refuse() }))
	Ydb_Coordination_V1.RegisterCoordinationServiceServer(srv, r)
	Ydb_Discovery_V1.RegisterDiscoveryServiceServer(srv, r)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(lis) }()
	t.Cleanup(func() {
		srv.Stop()
		require.NoError(t, <-served)
	})

	return "grpc://" + lis.Addr().String() + "/local"
}

// Whatever a server answers, a person reads a sentence, and not how gRPC writes it. A command that only looks does not
// wait for longer than --connect-timeout.
func TestCommands_HideGRPC(t *testing.T) {
	t.Parallel()
	commands := []string{
		"status", "who a", "check a 5", "watch a", "doctor", "semaphore create --limit 3 a", "semaphore set --data x a",
		"semaphore delete a", "node create /local/x", "node describe /local/x", "node drop --force /local/x",
		"lock --wait 2s a", "lock --status a", "workers --once --task a -- true", "workers --status", "status --check",
		"lock --once k --wait 5s a -- true",
	}
	for _, r := range []*refuser{
		{code: codes.Unauthenticated},
		{code: codes.Unavailable},
		{code: codes.Unauthenticated, hasNode: true},
		{code: codes.ResourceExhausted, hasNode: true},
	} {
		t.Run(fmt.Sprint(r.code, r.hasNode), func(t *testing.T) {
			t.Parallel()
			env := map[string]string{"TENURE_DSN": r.serve(t), "TENURE_CONNECT_TIMEOUT": "4s"}
			said := make([]string, len(commands))
			var running sync.WaitGroup
			ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second) // some commands try again forever
			defer cancel()
			for i, line := range commands {
				running.Go(func() {
					var out outputtest.Buffer
					_ = cli.Run(ctx, build, &cli.Env{
						Args: strings.Fields(line), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out,
						LookupEnv: func(name string) (string, bool) {
							value, ok := env[name]

							return value, ok
						},
					})
					said[i] = line + ": " + out.String()
					if ctx.Err() != nil {
						said[i] += " (did not give up)"
					}
				})
			}
			running.Wait()
			for _, text := range said {
				require.NotContains(t, text, "rpc error")
			}
			require.Contains(t, said[0], `tenure: list /local: not now`)
			require.Contains(t, said[1], `tenure: open session on node "/local/tenure": not now`)
			for _, line := range []string{
				"lock --status a", "workers --status", "lock --wait 2s a", "lock --once k --wait 5s a -- true",
			} {
				text := said[slices.Index(commands, line)]
				require.Contains(t, text, "not now")
				require.NotContains(t, text, "no answer")
				require.NotContains(t, text, "did not give up")
			}
		})
	}
}
