// Package httpd serves what people, monitoring and service managers want to know about a server over HTTP: a page,
// metrics, health and status. It also ends sessions.
package httpd

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tenure/internal/access"
	"tenure/internal/serverconfig"
	"tenure/internal/servermetrics"
	"tenure/server"
)

// Limits of requests.
const (
	headerLimit  = 10 * time.Second
	requestLimit = 10 * time.Second
	idleLimit    = 2 * time.Minute
	answerLimit  = time.Minute // a status of a million semaphores takes seconds
	headerBytes  = 16 << 10
	bodyBytes    = 64 << 10
	scrapes      = 4 // at the same time
	largeAnswers = 4 // at the same time; each keeps a status in memory
)

// Config says what the server shows.
type Config struct {
	Server     *server.Server
	Admin      *serverconfig.Admin
	Version    string
	Semaphores string              // pattern of semaphores that get metrics of their own; empty: none
	TLS        *tls.Config         // nil: clear text
	Users      bool                // the server has users; otherwise nobody gets a backup
	Local      bool                // the address is a loopback one: health and metrics need no token
	Names      []string            // host names of the server, in addition to localhost and to all IP addresses
	Trusts     serverconfig.Trusts // nil: a client's certificate is good as long as its connection
	Audit      string              // file of the audit log, for the page; empty: no file that can be read
	Logger     *slog.Logger
}

// Server is an HTTP server. Create one with New.
type Server struct {
	c         Config
	http      *http.Server
	backing   chan struct{} // holds a value for the backup in progress
	answering chan struct{} // holds a value for each large status that is being written
	busy      chan struct{} // holds a value for each request for the status: a status copies whole nodes
}

// New returns a server that does not serve yet.
func New(c Config) *Server {
	s := &Server{
		c: c, busy: make(chan struct{}, 1), backing: make(chan struct{}, 1),
		answering: make(chan struct{}, largeAnswers),
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(servermetrics.New(c.Admin, c.Semaphores, c.Version),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: scrapes, ErrorHandling: promhttp.ContinueOnError, EnableOpenMetrics: true,
	})

	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.need(access.List, true, metrics))
	mux.Handle("GET /healthz", s.need(access.List, true, health(c.Admin.Live, nothing)))
	mux.Handle("GET /readyz", s.need(access.List, true, health(c.Admin.Ready, s.note)))
	mux.Handle("GET /api/v1/status", s.need(access.View, false, http.HandlerFunc(s.status)))
	mux.Handle("GET /api/v1/backup", s.need(access.Full, false, http.HandlerFunc(s.backup)))
	mux.Handle("POST /api/v1/sessions/end", s.need(access.Full, false, http.HandlerFunc(s.endSession)))
	closePage := s.addPage(mux)
	s.http = &http.Server{
		Handler: s.guard(mux), TLSConfig: forHTTP(c.TLS), ReadHeaderTimeout: headerLimit, ReadTimeout: requestLimit,
		WriteTimeout: answerLimit, IdleTimeout: idleLimit, MaxHeaderBytes: headerBytes, ConnState: follow,
		ErrorLog: slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug),
	}
	s.http.RegisterOnShutdown(closePage) // its streams do not end by themselves

	return s
}

// Serve serves on the listener until Close, and closes the listener.
func (s *Server) Serve(lis net.Listener) error {
	lis = limited(lis, s.c.Admin.Refused)
	var err error
	if s.c.TLS != nil {
		err = s.http.ServeTLS(lis, "", "")
	} else {
		err = s.http.Serve(lis)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}

	return err
}

// Close ends the server, and requests that are still being answered when ctx ends.
func (s *Server) Close(ctx context.Context) {
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
}

func nothing() string { return "" }

// note says what a client of a ready server should know.
func (s *Server) note() string {
	at := s.c.Admin.GrantsFrom()
	if at.IsZero() {
		return ""
	}

	return ": restored from a backup: nothing is granted until " + at.Format(time.RFC3339)
}

// health answers 200 with the note if check returns nil, and 503 with the reason otherwise.
func health(check func() error, note func() string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := check(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)

			return
		}
		_, _ = w.Write([]byte("ok" + note() + "\n"))
	})
}
