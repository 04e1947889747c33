package server

import (
	"context"
	"fmt"
	"hash/fnv"
	"net"
	"strconv"

	"github.com/ydb-platform/ydb-go-genproto/Ydb_Discovery_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Discovery"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"tenure/internal/advertise"
	"tenure/internal/peercred"
	"tenure/internal/serverconfig"
)

// location is the location of all endpoints and of every client. SDKs prefer endpoints in their own location.
const location = "local"

// discoveryService serves Ydb.Discovery.V1.DiscoveryService, without which SDKs do not start (D1).
type discoveryService struct {
	Ydb_Discovery_V1.UnimplementedDiscoveryServiceServer

	server *Server
}

// ListEndpoints answers with the advertised address, or otherwise with that by which the client has reached the server.
// That address works with proxies between the two, unless they change the authority of the call or end its TLS.
func (d *discoveryService) ListEndpoints(
	ctx context.Context, r *Ydb_Discovery.ListEndpointsRequest,
) (*Ydb_Discovery.ListEndpointsResponse, error) {
	op := d.server.answer(ctx, func() (proto.Message, error) {
		if err := d.server.checkDatabaseName(r.GetDatabase()); err != nil {
			return nil, err
		}

		return &Ydb_Discovery.ListEndpointsResult{
			Endpoints:    d.server.endpoints(ctx),
			SelfLocation: location,
		}, nil
	})

	return &Ydb_Discovery.ListEndpointsResponse{Operation: op}, nil
}

func (d *discoveryService) WhoAmI(
	ctx context.Context, _ *Ydb_Discovery.WhoAmIRequest,
) (*Ydb_Discovery.WhoAmIResponse, error) {
	op := d.server.answer(ctx, func() (proto.Message, error) {
		return d.server.whoAmI(ctx), nil
	})

	return &Ydb_Discovery.WhoAmIResponse{Operation: op}, nil
}

// endpoints returns this server, and those that share its store. A client on a Unix socket is told of this server only.
func (s *Server) endpoints(ctx context.Context) []*Ydb_Discovery.EndpointInfo {
	self := endpoint(ctx, s.advertise)
	all := []*Ydb_Discovery.EndpointInfo{self}
	if s.front == nil || onUnixSocket(ctx) {
		return all
	}
	self.NodeId = nodeID(s.front.members.Self().ID)
	living, err := s.front.members.Living(ctx)
	if err != nil {
		return all
	}
	known := map[string]bool{net.JoinHostPort(self.GetAddress(), strconv.Itoa(int(self.GetPort()))): true}
	for _, m := range living {
		at, err := advertise.Parse(m.Address)
		// One load balancer is enough.
		if err != nil || m.Leaving || m.ID == s.front.members.Self().ID || known[advertised(m)] {
			continue
		}
		known[advertised(m)] = true
		e := newEndpoint(nodeID(m.ID))
		e.Address, e.Port, e.Ssl = at.Host, uint32(at.Port), at.TLS
		all = append(all, e)
	}

	return all
}

// nodeID returns the number of a server that SDKs use to tell servers apart.
func nodeID(server string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(server)) // never fails

	return max(1, h.Sum32())
}

func onUnixSocket(ctx context.Context) bool {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return false
	}
	_, local := p.AuthInfo.(peercred.Info)

	return local
}

func newEndpoint(id uint32) *Ydb_Discovery.EndpointInfo {
	return &Ydb_Discovery.EndpointInfo{
		Service: []string{"coordination", "discovery", "scheme"}, Location: location, NodeId: id,
	}
}

// endpoint returns the address by which the client of a call reaches the server: the advertised one, unless that is nil
// or the client is on a Unix socket, or otherwise the address that the client has used.
func endpoint(ctx context.Context, advertised *advertise.Endpoint) *Ydb_Discovery.EndpointInfo {
	e := newEndpoint(1)
	p, ok := peer.FromContext(ctx)
	if ok {
		_, e.Ssl = p.AuthInfo.(credentials.TLSInfo)
	}
	if advertised != nil && !onUnixSocket(ctx) {
		e.Address, e.Port, e.Ssl = advertised.Host, uint32(advertised.Port), advertised.TLS

		return e
	}
	for _, authority := range metadata.ValueFromIncomingContext(ctx, ":authority") {
		if e.Address, e.Port, ok = splitAddress(authority); ok {
			return e
		}
	}
	// The client sent no authority, or one without a port, as over a Unix socket or with a default port.
	if p != nil && p.LocalAddr != nil {
		e.Address, e.Port, _ = splitAddress(p.LocalAddr.String())
	}

	return e
}

// splitAddress splits "host:port". It returns an IPv6 host without brackets, which is the form in EndpointInfo.
func splitAddress(address string) (host string, port uint32, ok bool) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, false
	}
	n, err := strconv.ParseUint(service, 10, 16)

	return host, uint32(n), err == nil && host != "" && n > 0
}

// parseAdvertise returns the address that the options advertise, or nil.
func parseAdvertise(c *serverconfig.Config) (*advertise.Endpoint, error) {
	if c.Advertise == nil {
		return nil, nil
	}
	e, err := advertise.Parse(*c.Advertise)
	if err != nil {
		return nil, fmt.Errorf("server: WithAdvertise: %q %w", *c.Advertise, err)
	}

	return &e, nil
}
