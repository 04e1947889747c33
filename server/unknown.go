package server

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// unknownService answers calls of unknown services and of unknown methods: the server is not a YDB database.
func unknownService(_ any, g grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(g)

	return status.Errorf(codes.Unimplemented, "%.300s is not served: this is a tenure server, which serves only "+
		"Ydb.Auth.V1, Ydb.Coordination.V1, Ydb.Discovery.V1, Ydb.Scheme.V1 and health", method)
}
