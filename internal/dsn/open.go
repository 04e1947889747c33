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

// Open opens a driver for the server, without credentials unless the options or the DSN have some. It returns when the
// server has answered, and fails as soon as it knows that this will not happen. A limit below zero leaves the time to
// ctx alone; otherwise Open fails after the limit at the latest.
func (a *Address) Open(ctx context.Context, limit time.Duration, opts ...ydb.Option) (*ydb.Driver, error) {
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
	all = append(all, opts...)
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
