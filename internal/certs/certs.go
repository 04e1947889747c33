// Package certs reads the certificates of a server, and reads them again when they are replaced.
//
// Connections keep the certificate with which they began. New connections use the new one. [Server.Trusts] tells
// whether the certificate of a client would still be accepted.
package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tenure/internal/clock"
	"tenure/internal/filewatch"
)

// Config says where the certificates of a server are. Cert, Key and Logger must be set.
type Config struct {
	Cert, Key File

	ClientCA       File // authorities of clients; no path: clients are not asked for certificates
	ClientOptional bool // clients may have no certificate

	Clock  clock.Clock // nil: the machine's clock
	Logger *slog.Logger
}

// Server holds the certificates of a server. Its methods are safe for concurrent use.
type Server struct {
	config  Config
	clock   clock.Clock
	watcher *filewatch.Watcher
	reading sync.Mutex // is held while the files are read, so that an older state does not replace a newer one
	current atomic.Pointer[tls.Config]
	clients atomic.Pointer[clients] // nil: clients are not asked for certificates
}

// Load reads and checks the files. The error says what to do. It has a line for each file that cannot be used.
func Load(config Config) (*Server, error) {
	s := &Server{config: config, clock: config.Clock}
	if s.clock == nil {
		s.clock = clock.System()
	}
	paths := []string{config.Cert.Path, config.Key.Path}
	if config.ClientCA.Path != "" {
		paths = append(paths, config.ClientCA.Path)
	}
	s.watcher = filewatch.New(s.clock, paths...) // before the files are read
	if err := s.read(); err != nil {
		return nil, err
	}

	return s, nil
}

// TLS returns a config for servers that uses the newest certificates for each new connection.
func (s *Server) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return s.current.Load(), nil
		},
	}
}

// Reload reads the files again. If they cannot be used, Reload logs and returns the error, and the certificates that
// were read before stay in use.
func (s *Server) Reload() error {
	s.watcher.Changed()

	return s.reload()
}

// Watch reads the files again when they have changed, and warns once a day if the certificate expires soon. It returns
// when ctx ends.
func (s *Server) Watch(ctx context.Context) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.warnDaily(ctx)
	}()
	s.watcher.Watch(ctx, func(changed bool) {
		if changed {
			_ = s.reload() // it was logged
		}
	})
	<-ended
}

// Names returns an error if the certificate is not for the host, a name or an IP address.
func (s *Server) Names(host string) error {
	return s.current.Load().Certificates[0].Leaf.VerifyHostname(host)
}

func (s *Server) reload() error {
	ctx := context.Background()
	if err := s.read(); err != nil {
		s.config.Logger.ErrorContext(ctx, "cannot use the new certificates: keeping those in use", "error", err)

		return err
	}
	s.config.Logger.InfoContext(ctx, "read the certificates again", "expires", s.expires().UTC().Format(time.RFC3339))
	s.warn(ctx)

	return nil
}

func (s *Server) read() error {
	s.reading.Lock()
	defer s.reading.Unlock()
	now := s.now()
	pair, err := readServer(s.config.Cert, s.config.Key, now)
	c := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2"},
		Certificates: []tls.Certificate{pair},

		// A ticket lets a client come back without its certificate being checked against the authorities of today.
		SessionTicketsDisabled: true,
	}
	if s.config.ClientCA.Path != "" {
		pool, caErr := ReadAuthorities(s.config.ClientCA, now)
		err = errors.Join(err, caErr)
		c.ClientCAs, c.ClientAuth = pool, tls.RequireAndVerifyClientCert
		if s.config.ClientOptional {
			c.ClientAuth = tls.VerifyClientCertIfGiven
		}
	}
	if err != nil {
		return err
	}
	s.current.Store(c)
	if c.ClientCAs != nil {
		s.trust(c.ClientCAs)
	}

	return nil
}

// The server warns when less than warnBefore is left, once in each warnEvery.
const (
	warnBefore = 14 * 24 * time.Hour
	warnEvery  = 24 * time.Hour
)

func (s *Server) warnDaily(ctx context.Context) {
	for {
		s.warn(ctx)
		if !clock.Pause(ctx, s.clock, warnEvery) {
			return
		}
	}
}

func (s *Server) warn(ctx context.Context) {
	expires := s.expires()
	left := expires.Sub(s.now())
	date := expires.UTC().Format(time.RFC3339)
	switch {
	case left <= 0:
		s.config.Logger.ErrorContext(ctx, "the certificate has expired, so clients refuse it: replace it", "expires", date,
			"file", s.config.Cert.Path)
	case left < warnBefore:
		s.config.Logger.WarnContext(ctx, "the certificate expires soon: replace it", "expires", date,
			"file", s.config.Cert.Path)
	}
}

// expires returns the date after which the certificate in use is not valid.
func (s *Server) expires() time.Time { return s.current.Load().Certificates[0].Leaf.NotAfter }

func (s *Server) now() time.Time { return s.clock.Time(s.clock.Now()) }
