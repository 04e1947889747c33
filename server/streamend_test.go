package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc"

	"tenure/internal/serverconfig"
	"tenure/server"
)

// A stream ends also if gRPC's calls cannot be ended before their handlers return, as gRPC does not promise.
func TestStream_EndsWithoutHelpOfGRPC(t *testing.T) {
	var srv *server.Server
	h := serve(t, func(c *serverconfig.Config) {
		c.Services = func(g *grpc.Server) {
			g.RegisterService(&grpc.ServiceDesc{
				ServiceName: "Plain", HandlerType: (*any)(nil),
				Streams: []grpc.StreamDesc{{
					StreamName: "Session", ServerStreams: true, ClientStreams: true,
					Handler: func(_ any, g grpc.ServerStream) error {
						return srv.ServeSession(&grpc.GenericServerStream[pb.SessionRequest, pb.SessionResponse]{
							ServerStream: plain{g},
						})
					},
				}},
			}, nil)
		}
	})
	srv = h.server

	first := h.openPlain(t)
	first.send(startMessage(h.node, 0, time.Minute))
	first.id = first.recv().GetSessionStarted().GetSessionId()
	first.requireAcquired("job")
	second := h.openPlain(t)
	second.send(startMessage(h.node, first.id, time.Minute))
	require.Equal(t, first.id, second.recv().GetSessionStarted().GetSessionId())
	first.requireFailure(Ydb.StatusIds_BAD_SESSION, "Session stolen by another local client")
	second.send(&pb.SessionRequest{
		Request: &pb.SessionRequest_SessionStop_{SessionStop: &pb.SessionRequest_SessionStop{}},
	})
	require.NotNil(t, second.recv().GetSessionStopped())
	second.requireEnd()
}

// openPlain opens a stream of the service Plain.
func (h *harness) openPlain(t *testing.T) *session {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	desc := &grpc.StreamDesc{StreamName: "Session", ServerStreams: true, ClientStreams: true}
	stream, err := h.conn.NewStream(ctx, desc, "/Plain/Session")
	require.NoError(t, err)

	return &session{
		t: t, cancel: cancel,
		grpc: &grpc.GenericClientStream[pb.SessionRequest, pb.SessionResponse]{ClientStream: stream},
	}
}

// plain is a stream that has only what gRPC promises.
type plain struct{ grpc.ServerStream }

func (p plain) Context() context.Context {
	ctx := p.ServerStream.Context()

	return grpc.NewContextWithServerTransportStream(ctx, promised{grpc.ServerTransportStreamFromContext(ctx)})
}

type promised struct{ grpc.ServerTransportStream }
