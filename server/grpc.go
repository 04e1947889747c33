package server

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/ydb-platform/ydb-go-genproto/Ydb_Auth_V1"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Discovery_V1"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Scheme_V1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"tenure/internal/panics"
	"tenure/internal/printable"
	"tenure/internal/wire"
)

// Settings of gRPC. Windows that grow with the speed of a client would let it fill the memory: a stream may have a
// whole window of requests that have not been read. A message that is larger than the window gets one of its own.
const (
	streamWindow = 64 << 10
	connWindow   = 1 << 20
	readBuffer   = 16 << 10

	// never is the time between two pings of gRPC. It compares dates, so it would cut each connection if the machine's
	// clock is set back. The pings of the protocol end the streams of a client that is gone, and those of TCP end its
	// connection.
	never = time.Duration(math.MaxInt64)
)

func (s *Server) newGRPC(creds credentials.TransportCredentials, services func(*grpc.Server)) *grpc.Server {
	if s.front != nil {
		creds = s.front.key.Server(creds)
	}
	g := grpc.NewServer(
		grpc.Creds(s.conns.Credentials(creds)),
		grpc.InTapHandle(s.admit),
		grpc.ConnectionTimeout(s.limits.StartTimeout),
		grpc.MaxConcurrentStreams(uint32(s.limits.StreamsPerConnection)), //nolint:gosec // withDefaults checks it
		grpc.MaxHeaderListSize(uint32(s.limits.HeaderBytes)),             //nolint:gosec // withDefaults checks it
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connWindow),
		grpc.ReadBufferSize(readBuffer),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: s.limits.IdleTimeout,
			Time:              never,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
		grpc.ChainUnaryInterceptor(s.countUnary, limitUnaryError, s.recoverUnary, s.limitUnary, s.identifyUnary),
		grpc.StreamInterceptor(s.interceptStream),
		grpc.UnknownServiceHandler(unknownService),
		grpc.WaitForHandlers(true),
		grpc.ForceServerCodecV2(wire.NewCodec(s.turns)),
	)
	Ydb_Coordination_V1.RegisterCoordinationServiceServer(g, &coordinationService{server: s})
	Ydb_Scheme_V1.RegisterSchemeServiceServer(g, &schemeService{server: s})
	Ydb_Discovery_V1.RegisterDiscoveryServiceServer(g, &discoveryService{server: s})
	Ydb_Auth_V1.RegisterAuthServiceServer(g, &authService{server: s})
	grpc_health_v1.RegisterHealthServer(g, s.health)
	if s.front != nil {
		s.registerPeerService(g)
	}
	if services != nil {
		services(g)
	}

	return g
}

func (s *Server) recoverUnary(
	ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (resp any, err error) {
	err = s.recovered(ctx, info.FullMethod, func() (err error) {
		resp, err = charged(ctx, func(ctx context.Context) (any, error) { return handler(ctx, req) })

		return err
	})

	return resp, err
}

// interceptStream does for a stream what the interceptors of unary calls do. It is one function, because the frames of
// all interceptors are on the stack of each idle stream, which must not grow.
func (s *Server) interceptStream(
	srv any, g grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler,
) error {
	limited := &limitedStream{ServerStream: g, server: s}
	err := panics.Guard(func() error { return limited.serve(srv, handler) })

	return limitError(s.withoutPanic(g.Context(), limited.method(), err))
}

// recovered turns a panic of a call into an error of the call. The process keeps running.
func (s *Server) recovered(ctx context.Context, method string, call func() error) error {
	return s.withoutPanic(ctx, method, panics.Guard(call))
}

// withoutPanic reports a panic of a call, and returns the error for the caller.
func (s *Server) withoutPanic(ctx context.Context, method string, err error) error {
	if p, ok := errors.AsType[*panics.Error](err); ok {
		s.log.ErrorContext(ctx, "panic in a call", "method", method, "panic", p.Value, "stack", string(p.Stack))

		return status.Error(codes.Internal, "internal error")
	}

	return err
}

// limitUnaryError bounds the text of the error of a call, which may repeat what the client has sent.
func limitUnaryError(
	ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (resp any, err error) {
	resp, err = handler(ctx, req)

	return resp, limitError(err)
}

func limitError(err error) error {
	if err == nil {
		return nil
	}
	s := status.Convert(err)
	text := printable.Message(s.Message())
	if text == s.Message() {
		return err
	}
	p := s.Proto() // a copy
	p.Message = text

	return status.ErrorProto(p)
}
