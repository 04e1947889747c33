package server

import (
	"log/slog"

	"tenure/internal/clock"
	"tenure/internal/store"
)

// Option sets something about a server.
type Option func(*config)

type config struct {
	dataDir   string
	store     store.Store
	database  string
	log       *slog.Logger
	clock     clock.Clock
	lifelines Lifelines
}

// WithDataDir keeps what is acknowledged in a directory, which is made if it is missing. Without this option the
// server forgets everything when it stops.
func WithDataDir(dir string) Option { return func(c *config) { c.dataDir = dir } }

// WithDatabase names the database that the server serves; the default is /local. Every path is below it.
func WithDatabase(path string) Option { return func(c *config) { c.database = path } }

// WithLogger gives the server a log; without this option it is silent. Users' data and keys are never logged.
func WithLogger(log *slog.Logger) Option { return func(c *config) { c.log = log } }

// WithStore keeps everything in the given store, which the server closes. For tenure's own packages.
func WithStore(s store.Store) Option { return func(c *config) { c.store = s } }

// WithClock counts leases by the given clock instead of the machine's. For tenure's own packages.
func WithClock(clk clock.Clock) Option { return func(c *config) { c.clock = clk } }

// Lifelines knows of sessions that nobody can come back to. A process that works under a session keeps its lifeline,
// which the kernel cuts when the process ends, however it ends. Its method may be called from several goroutines.
type Lifelines interface {
	// Cut reports whether everybody who could work under the session with this protection key is surely dead. False
	// means that somebody lives, or that it is not known, as of a session that never had a lifeline. True is for ever.
	// It may do a little I/O; it must not wait.
	Cut(key string) bool
}

// WithLifelines ends a detached session as soon as its lifeline is cut, without waiting for its timeout. For tenure's
// own packages.
func WithLifelines(l Lifelines) Option { return func(c *config) { c.lifelines = l } }
