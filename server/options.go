package server

import (
	"crypto/tls"
	"log/slog"
	"time"

	"tenure/internal/serverconfig"
)

// Option sets something about a server. New ignores a nil Option.
type Option func(*serverconfig.Config)

// WithDataDir keeps the server's data in a directory, which New creates if it is missing. Without this option the
// server loses its data when it stops. New returns an error if dir is empty.
func WithDataDir(dir string) Option { return func(c *serverconfig.Config) { c.DataDir = &dir } }

// WithDatabase sets the database that the server serves, by default [DefaultDatabase]. All paths are below it.
func WithDatabase(path string) Option { return func(c *serverconfig.Config) { c.Database = &path } }

// WithLogger sets the server's logger. Users' data and keys are never logged. Without this option, or with nil, the
// server logs nothing.
func WithLogger(log *slog.Logger) Option { return func(c *serverconfig.Config) { c.Logger = log } }

// WithLimits sets the limits of the server. A field that is zero means its default. New returns an error if one of them
// is negative, or if the limit of open files is too low for it.
func WithLimits(l Limits) Option {
	return func(c *serverconfig.Config) { c.Limits = serverconfig.Limits(l) }
}

// WithTLS makes the server use TLS for connections over a network. Connections over a Unix socket do not use it. The
// config needs a certificate, or a function that returns one. GetConfigForClient or GetCertificate can change the
// certificate while the server runs. The server requires TLS 1.2 or later, unless the config sets MinVersion. Without
// this option, or with nil, the server does not use TLS.
func WithTLS(config *tls.Config) Option { return func(c *serverconfig.Config) { c.TLS = config } }

// WithAdvertise sets the address that the server tells the drivers of its clients, in the form grpc://host:port or
// grpcs://host:port. Drivers use it for all further connections. Without this option, the server tells each client the
// address that the client has used, so the option is only needed behind a proxy that changes it. Clients that connect
// over a Unix socket are not told this address. New returns an error if the address has another form.
func WithAdvertise(address string) Option {
	return func(c *serverconfig.Config) { c.Advertise = &address }
}

// WithTokensFile gives the server users. The file lists them, with their tokens, passwords and certificates and with
// their rights; docs/operations.md describes it. New returns an error if the file is not valid or if others can read
// it. The server follows changes of the file; see [Server.Reload]. Without this option every caller has all rights.
func WithTokensFile(file string) Option { return func(c *serverconfig.Config) { c.Tokens = &file } }

// WithTokenLifetime sets how long the tokens are valid that the server issues to users who log in with a password. 0
// means 12 hours. New returns an error if it is negative. Clients log in again in time.
func WithTokenLifetime(d time.Duration) Option {
	return func(c *serverconfig.Config) { c.TokenLifetime = d }
}
