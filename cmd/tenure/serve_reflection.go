package main

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection"

	"tenure/internal/serverconfig"
)

// withReflection lets tools such as grpcurl find out which services and messages the server has.
func withReflection(c *serverconfig.Config) {
	c.Services = func(g *grpc.Server) { reflection.Register(g) }
}
