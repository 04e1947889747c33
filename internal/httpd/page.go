package httpd

import (
	"net/http"

	"tenure/internal/clock"
	"tenure/internal/page"
)

// addPage adds the page for people. It takes turns with other requests for the status.
func (s *Server) addPage(mux *http.ServeMux) (closePage func()) {
	a := s.c.Admin
	p := page.New(page.Config{
		Status: s.takeStatus,
		Stats:  a.Stats, Live: a.Live, Ready: a.Ready, EndSession: a.EndSession, Caller: a.Caller, Login: a.Login,
		Version: s.c.Version, Audit: s.c.Audit, Secure: s.c.TLS != nil, Clock: clock.System(), Logger: s.c.Logger,
	})
	p.Register(mux)

	return p.Close
}
