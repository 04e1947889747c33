package server

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// unknownService answers calls of services that are not served, and of methods that these do not have.
func unknownService(_ any, g grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(g)

	return notServed(method)
}

// notServed tells people that this is no YDB database, and what it is.
func notServed(method string) error {
	return status.Errorf(codes.Unimplemented, "%.300s is not served: this is a tenure server, which serves only "+
		"Ydb.Coordination.V1, Ydb.Discovery.V1, Ydb.Scheme.V1 (without ModifyPermissions), health and reflection", method)
}
