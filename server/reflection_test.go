package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"

	"tenure/internal/serverconfig"
)

// Tools can query the server's health and its services.
func TestServer_HealthAndReflection(t *testing.T) {
	h := serve(t, func(c *serverconfig.Config) { c.Services = func(g *grpc.Server) { reflection.Register(g) } })
	r, err := grpc_health_v1.NewHealthClient(h.conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	require.NoError(t, err)
	require.Equal(t, grpc_health_v1.HealthCheckResponse_SERVING, r.GetStatus())

	stream, err := grpc_reflection_v1.NewServerReflectionClient(h.conn).ServerReflectionInfo(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{},
	}))
	m, err := stream.Recv()
	require.NoError(t, err)
	var names []string
	for _, s := range m.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	require.Subset(t, names, []string{
		"Ydb.Coordination.V1.CoordinationService", "Ydb.Discovery.V1.DiscoveryService", "Ydb.Scheme.V1.SchemeService",
		"grpc.health.v1.Health",
	})
}
