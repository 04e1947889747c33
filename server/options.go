package server

import (
	"log/slog"

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

// Limits bound what the clients of a server can use.
type Limits = serverconfig.Limits

// WithLimits sets the limits of the server. New returns an error if one of them is negative, or if the limit of open
// files is too low for it.
func WithLimits(l Limits) Option { return func(c *serverconfig.Config) { c.Limits = l } }
