package server

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// unknownService answers calls of unknown services and of unknown methods.
func unknownService(_ any, g grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(g)

	return notServed(method)
}

// notServed returns an error that says that the server is not a YDB database, and what it serves.
func notServed(method string) error {
	return status.Errorf(codes.Unimplemented, "%.300s is not served: this is a tenure server, which serves only "+
		"Ydb.Coordination.V1, Ydb.Discovery.V1, Ydb.Scheme.V1 (without ModifyPermissions), health and reflection", method)
}
