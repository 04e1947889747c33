package server

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc/peer"

	"tenure/internal/access"
	"tenure/internal/audit"
	"tenure/internal/printable"
	"tenure/internal/serverconfig"
)

// callerOfToken implements serverconfig.Admin.
func (s *Server) callerOfToken(token string) (name string, rights access.Rights, err error) {
	if s.access == nil {
		return "", access.Full, nil
	}
	user, err := s.access.Identify(s.access.ShowToken(token), s.date())
	if err != nil {
		return "", 0, err
	}

	return user.Name, user.Rights(s.catalog.Database()), nil
}

// allow implements serverconfig.Admin.
func (s *Server) allow(token string, need access.Rights, from net.Addr) (user string, err error) {
	name, rights, err := s.callerOfToken(token)
	switch {
	case err != nil:
		_, _ = s.reportCaller(requestFrom(from), err)
	case !rights.Has(need):
		s.lacks(serverconfig.Requester{User: name, Address: from}, need)
		err = fmt.Errorf("user %q lacks a right on %s: this needs %s", name, s.catalog.Database(), need)
	}

	return name, err
}

// lacks implements serverconfig.Admin.
func (s *Server) lacks(by serverconfig.Requester, need access.Rights) {
	s.denials.lacks(by.User, hostOf(by.Address), s.catalog.Database(), need.String())
}

// still implements serverconfig.Admin.
func (s *Server) still(token string, need access.Rights) bool {
	if s.access == nil {
		return true
	}
	user, err := s.access.Again(s.access.ShowToken(token), s.date())

	return err == nil && user.Rights(s.catalog.Database()).Has(need)
}

// foreign implements serverconfig.Admin.
func (s *Server) foreign(reason, shown string, from net.Addr) {
	e := audit.Event{Kind: audit.Denied, Peer: hostOf(from), Who: audit.Who([]byte(shown)), Reason: reason}
	if number, due := s.denials.add(e, reason); due {
		s.log.InfoContext(context.Background(), "HTTP request refused: it may come from a web page of somebody else",
			"reason", reason, "shown", printable.Short(shown), "address", addressText(from), "refused", number)
	}
}

// requestFrom returns a context from which host and address return those of a client over HTTP.
func requestFrom(a net.Addr) context.Context {
	return peer.NewContext(context.Background(), &peer.Peer{Addr: a})
}

func addressText(a net.Addr) string {
	if a == nil {
		return ""
	}

	return a.String()
}
