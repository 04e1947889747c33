package dsn

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/config"
	"google.golang.org/grpc"
)

// An Option is a ydb.Option.
//
// Most packages do not name the types of ydb-go-sdk that refer to all services of YDB, such as ydb.Option and
// *ydb.Driver. For each package that does, the compiler compiles the generic code behind these types once more, which
// takes a third of a second.
type Option any

// A Conn is a connection of a driver, which Close closes.
type Conn struct {
	grpc.ClientConnInterface

	Close func(context.Context) error
}

// Dial is Open for packages that need only the connection.
func Dial(ctx context.Context, a *Address, limit time.Duration, opts ...Option) (Conn, error) {
	db, err := Open(ctx, a, limit, opts...)
	if err != nil {
		return Conn{}, err
	}

	return Conn{ydb.GRPCConn(db), db.Close}, nil
}

// Open opens a driver for the server at the address, without credentials unless the options or the DSN have some. It
// returns when the server has answered, and fails as soon as it knows that this will not happen. A limit below zero
// leaves the time to ctx alone; otherwise Open fails after the limit at the latest. It is not a method, so that a
// package with an Address does not refer to the driver.
func Open(ctx context.Context, a *Address, limit time.Duration, opts ...Option) (*ydb.Driver, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("connect to %s: %w", a.Host, context.Cause(ctx))
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	ctx, cancel := WithLimit(ctx, limit)
	defer cancel()

	// The probe needs the TLS settings, to which any option and the environment contribute, and which a driver does
	// not expose. So the probe runs as an option, the last one, and ends the context of ydb.Open if it fails.
	var failed error
	probe := func(c *config.Config) {
		var secure *tls.Config
		if c.Secure() {
			secure = cmp.Or(c.TLSConfig(), &tls.Config{})
		}
		if failed = a.Probe(ctx, secure); failed != nil {
			end(failed)
		}
	}
	all := []ydb.Option{ydb.WithAnonymousCredentials()}
	if a.socket != "" {
		dial := func(ctx context.Context, _ string) (net.Conn, error) { return a.Dial(ctx) }
		all = append(all, ydb.With(config.WithGrpcOptions(grpc.WithContextDialer(dial))))
	}
	for _, o := range opts {
		all = append(all, o.(ydb.Option))
	}
	db, err := ydb.Open(ctx, a.url, append(all, ydb.With(probe))...)
	switch {
	case failed != nil:
		return nil, failed
	case err != nil:
		return nil, a.explain(ctx, err)
	}

	return db, nil
}

// WithLimit returns a context for the first connection to a server. When it ends because of the limit, its cause says
// so. A negative limit means that there is no limit.
func WithLimit(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit < 0 {
		return context.WithCancel(ctx)
	}

	return context.WithTimeoutCause(ctx, limit, connectLimit(limit))
}

type connectLimit time.Duration

func (l connectLimit) Error() string { return fmt.Sprintf("no answer within %v", time.Duration(l)) }
