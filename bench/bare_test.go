package bench

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Operations"
	"google.golang.org/grpc"
)

// bareServer speaks the protocol without keeping any state: the goroutine that reads an acquire answers that it
// succeeded. Its rate is an upper bound for every server of the protocol, set by gRPC, the system and the load itself.
type bareServer struct {
	Ydb_Coordination_V1.UnimplementedCoordinationServiceServer
}

// Windows of the bare server and of clients that use gRPC without package tenure.
const (
	streamWindow = 1 << 20
	connWindow   = 4 << 20
)

func serveBare(l net.Listener) (stop func() error) {
	s := grpc.NewServer(grpc.StaticStreamWindowSize(streamWindow), grpc.StaticConnWindowSize(connWindow))
	Ydb_Coordination_V1.RegisterCoordinationServiceServer(s, bareServer{})
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()

	return func() error {
		s.Stop()

		return <-served
	}
}

func (bareServer) CreateNode(
	context.Context, *Ydb_Coordination.CreateNodeRequest,
) (*Ydb_Coordination.CreateNodeResponse, error) {
	return &Ydb_Coordination.CreateNodeResponse{
		Operation: &Ydb_Operations.Operation{Ready: true, Status: Ydb.StatusIds_SUCCESS},
	}, nil
}

func (bareServer) Session(stream Ydb_Coordination_V1.CoordinationService_SessionServer) error {
	for {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if out := answer(in); out != nil {
			if err := stream.Send(out); err != nil {
				return err
			}
		}
	}
}

func answer(in *Ydb_Coordination.SessionRequest) *Ydb_Coordination.SessionResponse {
	switch r := in.GetRequest().(type) {
	case *Ydb_Coordination.SessionRequest_SessionStart_:
		return &Ydb_Coordination.SessionResponse{
			Response: &Ydb_Coordination.SessionResponse_SessionStarted_{
				SessionStarted: &Ydb_Coordination.SessionResponse_SessionStarted{
					SessionId: 1, TimeoutMillis: r.SessionStart.GetTimeoutMillis(),
				},
			},
		}
	case *Ydb_Coordination.SessionRequest_AcquireSemaphore_:
		return &Ydb_Coordination.SessionResponse{
			Response: &Ydb_Coordination.SessionResponse_AcquireSemaphoreResult_{
				AcquireSemaphoreResult: &Ydb_Coordination.SessionResponse_AcquireSemaphoreResult{
					ReqId: r.AcquireSemaphore.GetReqId(), Status: Ydb.StatusIds_SUCCESS, Acquired: true,
				},
			},
		}
	case *Ydb_Coordination.SessionRequest_ReleaseSemaphore_:
		return &Ydb_Coordination.SessionResponse{
			Response: &Ydb_Coordination.SessionResponse_ReleaseSemaphoreResult_{
				ReleaseSemaphoreResult: &Ydb_Coordination.SessionResponse_ReleaseSemaphoreResult{
					ReqId: r.ReleaseSemaphore.GetReqId(), Status: Ydb.StatusIds_SUCCESS, Released: true,
				},
			},
		}
	default:
		return nil
	}
}
