package server

import (
	"context"
	"errors"
	"net"

	"github.com/ydb-platform/ydb-go-genproto/Ydb_Auth_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Auth"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"tenure/internal/access"
	"tenure/internal/audit"
	"tenure/internal/catalog"
	"tenure/internal/conns"
	"tenure/internal/node"
)

// authService serves Ydb.Auth.V1.AuthService, which exchanges a password for a token.
type authService struct {
	Ydb_Auth_V1.UnimplementedAuthServiceServer

	server *Server
}

// Login refuses unknown users and wrong passwords with the same text and in the same time.
func (a *authService) Login(ctx context.Context, r *Ydb_Auth.LoginRequest) (*Ydb_Auth.LoginResponse, error) {
	op := a.server.answer(ctx, func() (proto.Message, error) {
		s := a.server
		if s.access == nil {
			return nil, unsupported("this server has no users: leave out user and password, or start it with --tokens FILE")
		}
		token, err := s.login(ctx, "", r.GetUser(), r.GetPassword())
		if err != nil {
			reported, refusal := s.loginRefused(ctx, err)
			if reported {
				if err := s.nodes.recorded(ctx); err != nil {
					return nil, err
				}
			}

			return nil, refusal
		}

		return &Ydb_Auth.LoginResult{Token: token}, nil
	})

	return &Ydb_Auth.LoginResponse{Operation: op}, nil
}

// login checks a password and returns a token. It reports success. The service says by which protocol the caller has
// come.
func (s *Server) login(ctx context.Context, service, user, password string) (string, error) {
	if err := s.nodes.recordable(); err != nil {
		return "", err
	}
	from := access.Origin{Service: service, Address: host(ctx)}
	token, err := s.access.Login(ctx, user, password, from, s.date())
	if err != nil {
		return "", err
	}
	s.nodes.env.audit.Write(audit.Event{Kind: audit.Login, User: user, Peer: host(ctx)})
	s.log.InfoContext(ctx, "login", "user", user, "address", address(ctx))
	if err := s.nodes.recorded(ctx); err != nil {
		return "", err
	}

	return token, nil
}

// signIn implements serverconfig.Admin.
func (s *Server) signIn(ctx context.Context, user, secret string, from net.Addr) (token string, err error) {
	ctx = peer.NewContext(ctx, &peer.Peer{Addr: from})
	switch {
	case s.access == nil:
		return "", nil
	case user != "":
		if token, err = s.login(ctx, "http", user, secret); err != nil {
			_, _ = s.loginRefused(ctx, err)
		}

		return token, err
	}
	token = access.Bare(secret)
	if _, err = s.access.Identify(s.access.ShowToken(token), s.date()); err != nil {
		_, _ = s.reportCaller(ctx, err)

		return "", err
	}

	return token, nil
}

// loginRefused counts and reports a login that failed. It returns whether the audit log has a line about that, and
// the error for the caller.
func (s *Server) loginRefused(ctx context.Context, err error) (reported bool, refused error) {
	if errors.Is(err, access.ErrBusy) {
		s.counts.limits.add("logins")

		return false, &catalog.Error{Status: node.Overloaded, Issue: err.Error()}
	}
	refusal, ok := errors.AsType[*access.LoginError](err)
	if !ok {
		return false, err // the context has ended, or too many lines wait for the audit log
	}
	user := audit.Who([]byte(refusal.User)) // anybody can send any name
	e := audit.Event{Kind: audit.Login, User: user, Peer: host(ctx), Reason: string(refusal.Reason)}
	number, due := s.denials.add(e, e.Reason)
	if due {
		s.log.InfoContext(ctx, "login refused",
			"user", user, "reason", refusal.Reason, "address", address(ctx), "refused", number)
	}

	return due, &catalog.Error{Status: node.Unauthorized, Issue: access.TextLogin}
}

// host returns the address of the caller of ctx without the port.
func host(ctx context.Context) string {
	if c := conns.Of(ctx); c != nil {
		return c.Host()
	}
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}

	return hostOf(p.Addr)
}

// hostOf returns an address without the port.
func hostOf(a net.Addr) string {
	if a == nil {
		return ""
	}

	return conns.HostOf(a)
}
