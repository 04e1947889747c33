package httpd

import (
	"context"
	"net/http"

	"tenure/internal/clock"
	"tenure/internal/page"
	"tenure/server"
)

// addPage adds the page for people. It takes turns with other requests for the status.
func (s *Server) addPage(mux *http.ServeMux) (closePage func()) {
	a := s.c.Admin
	p := page.New(page.Config{
		Status: func(ctx context.Context) (server.Status, error) {
			select {
			case s.busy <- struct{}{}:
				defer func() { <-s.busy }()
			case <-ctx.Done():
				return server.Status{}, context.Cause(ctx)
			}

			return s.c.Server.Status(ctx)
		},
		Stats: a.Stats, Live: a.Live, Ready: a.Ready, EndSession: a.EndSession, Caller: a.Caller, Login: a.Login,
		Version: s.c.Version, Audit: s.c.Audit, Secure: s.c.TLS != nil, Clock: clock.System(), Logger: s.c.Logger,
	})
	p.Register(mux)

	return p.Close
}
