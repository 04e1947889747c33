// Package clientconfig defines the settings of a tenure.Client.
//
// A tenure.Option is a function on a [Config]. The package is internal, so that users set a client up only with the
// functions of package tenure, while the project's own packages can also set the fields that have no such function,
// such as Clock.
package clientconfig

import (
	"context"
	"log/slog"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/discovery"
	"github.com/ydb-platform/ydb-go-sdk/v3/scheme"

	"tenure/internal/clock"
	"tenure/internal/dsn"
)

// DefaultConnectTimeout is the time within which a server must answer when Config.ConnectTimeout is zero.
const DefaultConnectTimeout = 10 * time.Second

// Config holds the settings of a client. The zero value is valid.
type Config struct {
	Logger         *slog.Logger      // nil: the client logs nothing
	Dir            string            // state directory of the embedded server; empty: the default directory
	Notice         func(line string) // receives lines about problems of the embedded server; nil: they are dropped
	Clock          clock.Clock       // times sessions and leases; nil: the system's clock
	Setting        string            // where the DSN comes from, for errors; empty: an argument in the user's program
	Hints          dsn.Hints         // what to set for TLS and credentials, for errors; zero: options of package tenure
	DirSetting     string            // what sets Dir, for messages; empty: tenure.WithDir
	AddressSetting string            // what sets the address of another server, for messages; empty: tenure.Open
	ConnectTimeout time.Duration     // for the first answer of the server; 0: DefaultConnectTimeout; negative: no limit
	DriverOptions  []dsn.Option      // for the driver, after those that the client sets
	Opened         func(Session)     // receives each session before its first answer; nil: it is not called
	Driver         func(Driver)      // receives the driver that the client has opened; may be nil
	Embedded       func(Host)        // receives the client's part of the embedded server before it can host it; may be nil
}

// A Driver is what the commands use of a *ydb.Driver, beside the client. The comment on dsn.Option says why it is not
// the driver itself. It is not the connection either: the compiler needs a tenth of a second for each package with a
// type that refers to grpc.CallOption, because behind it is all of gRPC.
type Driver struct {
	Invoke    func(ctx context.Context, method string, request, reply any) error // calls another service of the server
	Discovery discovery.Client
	Scheme    scheme.Client
}

// A Host is a client's part of the embedded server. Its methods are safe for concurrent use.
type Host interface {
	// StepAside prepares the process for being suspended: if the process hosts the server, it stops the server, so that
	// another process can take over. It returns when the server has stopped or ctx ends. Until Resume is called, the
	// process does not host the server.
	StepAside(ctx context.Context) error

	// Resume ends the effect of StepAside.
	Resume()
}

// Session is a session of the client as the project's own packages see it.
type Session interface {
	coordination.Session

	// Apart reports whether the session has no stream and waits for a timer before it opens one, or is over.
	Apart() bool

	// Node returns the path of the session's node.
	Node() string

	// Key returns the protection key, which lets other processes attach to the session.
	Key() []byte

	// Timeout returns the session timeout.
	Timeout() time.Duration

	// Deadline returns the instant until which the session is certain to be alive, on the clock of Clock, or 0 if it is
	// not alive.
	Deadline() clock.Instant
	Clock() clock.Clock

	// Refusal returns why the server refuses to continue the session, or nil if the server has proved since then that the
	// session is alive.
	Refusal() error

	// RefusalChanged returns a channel that is closed when Refusal begins or ceases to return an error.
	RefusalChanged() <-chan struct{}

	// GivenUp reports whether the client has given up the session with the id on the same node, so that the server may
	// still have it, and for how much longer at most. The client ends such a session once it is closed and the server
	// answers, so it usually lasts for less long.
	GivenUp(id uint64) (left time.Duration, ok bool)

	// End ends another session of the same node on the server, given its id and its protection key. The caller must know
	// that no code works under that session any longer, for example because its process is dead. End returns nil if the
	// server has ended the session, or if the session does not exist. It repeats the request while the server cannot be
	// reached. If it does not know whether the session has ended, because ctx ended first or because the server refused,
	// it returns an error. If the key is wrong, the error is a *tenure.StatusError with the status BAD_SESSION.
	End(ctx context.Context, id uint64, key []byte) error
}

type contextKey struct{}

// NewContext returns a context that carries the session. The contexts of a session and of its leases do.
func NewContext(ctx context.Context, s Session) context.Context {
	return context.WithValue(ctx, contextKey{}, s)
}

// FromContext returns the session that the context carries, or nil: other clients have no such contexts.
func FromContext(ctx context.Context) Session {
	s, _ := ctx.Value(contextKey{}).(Session)

	return s
}

// New applies the options and returns the settings. It skips nil options and replaces zero values with their defaults.
func New[Option ~func(*Config)](options []Option) *Config {
	c := &Config{}
	for _, option := range options {
		if option != nil {
			option(c)
		}
	}
	if c.Clock == nil {
		c.Clock = clock.System()
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = DefaultConnectTimeout
	}

	return c
}
