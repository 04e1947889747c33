package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"time"

	"github.com/ydb-platform/ydb-go-genproto/Ydb_Auth_V1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"tenure/internal/access"
	"tenure/internal/audit"
	"tenure/internal/peercred"
	"tenure/internal/serverconfig"
)

// caller is who makes a call. Without a tokens file the server knows no users, and every caller is the zero caller.
type caller struct {
	user  *access.User
	shown access.Shown // what identified the user

	// certificate has the certificate on which the caller's access depends. It is not a credentials.TLSInfo if there is
	// none.
	certificate credentials.AuthInfo
}

// name returns the name of the user, or nothing if there is none.
func (c *caller) name() string {
	if c.user == nil {
		return ""
	}

	return c.user.Name
}

type callerKey struct{}

// callerOf returns the caller that an interceptor has found out. Others use the same caller, so it stays as it is.
func callerOf(ctx context.Context) *caller {
	if c, ok := ctx.Value(callerKey{}).(*caller); ok {
		return c
	}

	return &nobody
}

var nobody caller

// identifyUnary refuses calls of nobody that the server knows, and lets the others see their caller.
func (s *Server) identifyUnary(
	ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	ctx, err := s.identify(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}

	return handler(ctx, req)
}

// identify returns a context from which callerOf returns the caller.
func (s *Server) identify(ctx context.Context, method string) (context.Context, error) {
	if s.front != nil && fromServer(ctx) {
		return s.identifyForwarded(ctx, method)
	}
	if s.access == nil && s.trusts == nil || public(method) {
		return ctx, nil
	}
	c := s.show(ctx)
	var err error
	switch {
	case !trusted(s.trusts, c.certificate):
		err = &access.DeniedError{Reason: access.UntrustedCertificate, Shown: c.shown}
	case s.access != nil:
		c.user, err = s.access.Identify(c.shown, s.date())
	}
	if err != nil {
		return nil, s.unidentified(ctx, err)
	}

	return context.WithValue(ctx, callerKey{}, &c), nil
}

// trusted reports whether the certificate of a connection, if there is one, is still good.
func trusted(trusts serverconfig.Trusts, certificate credentials.AuthInfo) bool {
	info, ok := certificate.(credentials.TLSInfo)

	return !ok || trusts == nil || trusts(info.State)
}

// public reports whether anybody may call the method: a log-in gives a caller something to show, and probes have
// nothing to show.
func public(method string) bool {
	return method == Ydb_Auth_V1.AuthService_Login_FullMethodName ||
		strings.HasPrefix(method, "/"+grpc_health_v1.Health_ServiceDesc.ServiceName+"/")
}

// unidentified counts and reports the caller of a call that is refused, and returns the error for it. If the audit log
// is required, it waits for the line about the caller.
func (s *Server) unidentified(ctx context.Context, err error) error {
	reported, refusal := s.reportCaller(ctx, err)
	if reported {
		if err := s.nodes.recorded(ctx); err != nil {
			return unrecorded(err)
		}
	}

	return refusal
}

// reportCaller counts and reports a caller that is refused. It returns whether the audit log has a line about
// that, and the error for the caller.
func (s *Server) reportCaller(ctx context.Context, err error) (reported bool, refused error) {
	refusal, ok := errors.AsType[*access.DeniedError](err)
	if !ok {
		return false, err
	}
	shown := audit.Who([]byte(refusal.Shown.String()))
	e := audit.Event{Kind: audit.Denied, Peer: host(ctx), Who: shown, Reason: string(refusal.Reason)}
	number, due := s.denials.add(e, e.Reason)
	if due {
		s.log.InfoContext(ctx, "caller refused",
			"reason", refusal.Reason, "shown", shown, "address", address(ctx), "refused", number)
	}

	return due, status.Error(codes.Unauthenticated, refusal.Text())
}

// show returns the caller of ctx with what it has shown. A token takes precedence, so that a caller whose token is
// refused is not taken for somebody else. A server without users ignores tokens.
func (s *Server) show(ctx context.Context) caller {
	if s.access != nil {
		for _, ticket := range metadata.ValueFromIncomingContext(ctx, "x-ydb-auth-ticket") {
			if ticket != "" {
				return caller{shown: s.access.ShowToken(ticket)}
			}
		}
	}
	p, ok := peer.FromContext(ctx)
	if !ok {
		return caller{}
	}
	switch info := p.AuthInfo.(type) {
	case credentials.TLSInfo:
		if leaf := verified(info.State); leaf != nil {
			return caller{shown: access.ShowCertificate(leaf), certificate: p.AuthInfo}
		}
	case peercred.Info:
		return caller{shown: access.ShowUID(info.UID)}
	}

	return caller{}
}

// verified returns the certificate of a client that a certificate authority of the server has signed, or nil.
func verified(state tls.ConnectionState) *x509.Certificate {
	if len(state.VerifiedChains) == 0 {
		return nil
	}

	return state.PeerCertificates[0]
}

func address(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return ""
	}

	return p.Addr.String()
}

// date returns the current date, which decides whether tokens have expired.
func (s *Server) date() time.Time { return s.clock.Time(s.clock.Now()) }
