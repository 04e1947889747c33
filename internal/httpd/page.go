package httpd

import (
	"errors"
	"net/http"

	"tenure/internal/access"
	"tenure/internal/clock"
	"tenure/internal/page"
	"tenure/internal/serverconfig"
)

var errDistrusted = errors.New("the server no longer trusts the authority that signed your certificate")

// addPage adds the page for people. It takes turns with other requests for the status.
func (s *Server) addPage(mux *http.ServeMux) (closePage func()) {
	a := s.c.Admin
	p := page.New(page.Config{
		Status: s.inMemory,
		Stats:  a.Stats, Live: a.Live, Ready: a.Ready,
		Caller: func(r *http.Request, token string) (string, access.Rights, error) {
			if !s.trusted(r) { // since the guard has let the request pass
				return "", 0, errDistrusted
			}

			return a.Caller(token)
		},
		Login: func(r *http.Request, user, secret string) (string, error) {
			return a.Login(r.Context(), user, secret, address(r))
		},
		Lacks: func(r *http.Request, user string, need access.Rights) {
			a.Lacks(serverconfig.Requester{User: user, Address: address(r)}, need)
		},
		Foreign: s.foreign,
		EndSession: func(r *http.Request, user, node string, session uint64) error {
			return a.EndSession(r.Context(), serverconfig.Requester{User: user, Address: address(r)}, node, session, 0)
		},
		Version: s.c.Version, Audit: s.c.Audit, Secure: s.c.TLS != nil, Clock: clock.System(), Logger: s.c.Logger,
	})
	p.Register(mux)

	return p.Close
}
