package server

import (
	"context"
	"encoding/json"
	"net"
	"os"

	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"tenure/internal/access"
	"tenure/internal/peerkey"
)

// callerHeaderKey is the key of the header that tells another server who makes a call that is forwarded. Servers
// believe it only if it comes over a connection that begins with the key of their cluster.
const callerHeaderKey = "tenure-caller-bin"

// passedCaller is the value of the header, as JSON.
type passedCaller struct {
	Network string `json:"network"`
	Address string `json:"address"`
	Shown   []byte `json:"shown,omitempty"` // an access.Shown
	Own     bool   `json:"own,omitempty"`   // the caller has the uid of the server that forwards the call
}

// fromServer reports whether the call of ctx comes from another server of the cluster.
func fromServer(ctx context.Context) bool {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return false
	}
	_, ok = p.AuthInfo.(peerkey.Info)

	return ok
}

// callerHeader returns the header for the call of ctx.
func (s *Server) callerHeader(ctx context.Context) metadata.MD {
	c := passedCaller{Address: address(ctx)}
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		c.Network = p.Addr.Network()
	}
	if s.access != nil {
		by := callerOf(ctx)
		c.Shown, _ = by.shown.MarshalBinary() // never fails
		c.Own = by.name() == access.OwnName
	}
	value, err := json.Marshal(c)
	if err != nil {
		panic(err) // it has only texts
	}

	return metadata.Pairs(callerHeaderKey, string(value))
}

// passedAddr is the address of a client of another server.
type passedAddr struct{ network, text string }

// Network implements net.Addr.
func (a passedAddr) Network() string { return a.network }

// String implements net.Addr.
func (a passedAddr) String() string { return a.text }

var _ net.Addr = passedAddr{}

// identifyForwarded is like identify for a call that another server has forwarded. That server knows the caller.
func (s *Server) identifyForwarded(ctx context.Context, method string) (context.Context, error) {
	if method == askMethod {
		return ctx, nil
	}
	if method != Ydb_Coordination_V1.CoordinationService_Session_FullMethodName {
		return nil, status.Error(codes.Unimplemented, "servers do not forward this call")
	}
	var passed passedCaller
	values := metadata.ValueFromIncomingContext(ctx, callerHeaderKey)
	if len(values) != 1 || json.Unmarshal([]byte(values[0]), &passed) != nil {
		return nil, status.Error(codes.InvalidArgument, "the call does not say who makes it")
	}
	ctx = peer.NewContext(ctx, &peer.Peer{
		Addr: passedAddr{passed.Network, passed.Address}, AuthInfo: peerkey.Info{},
	})
	if s.access == nil {
		return ctx, nil
	}
	var c caller
	if passed.Own {
		c.shown = access.ShowUID(uint32(os.Getuid())) //nolint:gosec // negative only where there are no uids
	} else if err := c.shown.UnmarshalBinary(passed.Shown); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	var err error
	if c.user, err = s.access.Identify(c.shown, s.date()); err != nil {
		return nil, s.unidentified(ctx, err)
	}

	return context.WithValue(ctx, callerKey{}, &c), nil
}
