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
	"strings"
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
	Semaphores string      // pattern of semaphores that get metrics of their own; empty: none
	TLS        *tls.Config // nil: clear text
	Users      bool        // the server has users; otherwise nobody gets a backup
	Local      bool        // the address is a loopback one: health and metrics need no token
	Audit      string      // file of the audit log, for the page; empty: there is none that can be read
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

// guard limits requests, and refuses those that a web page of somebody else has made a browser send. A loopback address
// is reachable for every page that a browser shows on this machine. Such a page can name it by a host name of its own
// (DNS rebinding), so the name must be one of this machine's. Requests that change something must come from no page, or
// from one of this server.
func (s *Server) guard(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, bodyBytes)
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
		if s.c.Local && !localName(r.Host) {
			http.Error(w, "this address is for localhost: use http://localhost in the URL", http.StatusMisdirectedRequest)

			return
		}
		if fromElsewhere(r) {
			http.Error(w, "this request comes from another web page", http.StatusForbidden)

			return
		}
		if err := protection.Check(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)

			return
		}
		next.ServeHTTP(w, r)
	})
}

// fromElsewhere reports whether a page of another site has made a browser send a request for what is not a page. No
// page gets a backup.
func fromElsewhere(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	switch {
	case site == "", r.URL.Path != "/metrics" && !strings.HasPrefix(r.URL.Path, "/api/"):
		return false
	case strings.HasPrefix(r.URL.Path, "/api/v1/backup"):
		return true
	}

	return site != "none" && site != "same-origin"
}

// localName reports whether the Host of a request is a name of this machine's loopback interface.
func localName(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	ip := net.ParseIP(host)

	return strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") || ip != nil && ip.IsLoopback()
}

// need lets callers pass that have the rights on the database. On a loopback address, what is open needs no rights.
func (s *Server) need(rights access.Rights, open bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if open && s.c.Local {
			next.ServeHTTP(w, r)

			return
		}
		kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(kind, "Bearer") {
			token = ""
		}
		err := s.c.Admin.Allow(strings.TrimSpace(token), rights)
		if denied, ok := errors.AsType[*access.DeniedError](err); ok {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, denied.Text(), http.StatusUnauthorized)

			return
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)

			return
		}
		next.ServeHTTP(w, r)
	})
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
