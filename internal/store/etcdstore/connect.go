package etcdstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"tenure/internal/clock"
	"tenure/internal/ownership"
)

// Cluster says how to reach etcd.
type Cluster struct {
	URLs           []string    // https://host:port, or http://host:port, of its members
	TLS            *tls.Config // nil: http
	User, Password string      // both may be empty
}

const (
	connectTimeout = 10 * time.Second // of Connect
	aliveAfter     = 10 * time.Second // without a message, a connection is tested; gRPC allows no less
	aliveTimeout   = 3 * time.Second
)

// Connect opens the store of a cluster. It sets the Client of the options, which Close closes. It fails if etcd does
// not answer within 10 s, or if it refuses what a server needs.
func Connect(ctx context.Context, c Cluster, o Options) (s *Store, err error) {
	err = c.connect(ctx, o.Prefix, true, func(ctx context.Context, client *clientv3.Client) error {
		o.Client = client
		if s, err = Open(ctx, o); err == nil {
			s.client = client
		}

		return err
	})

	return s, err
}

// connect calls use with a client that can read the keys with the prefix, and write them if write is true. Use has
// 10 s. If it returns nil, it has taken the client.
func (c Cluster) connect(
	ctx context.Context, prefix string, write bool, use func(context.Context, *clientv3.Client) error,
) error {
	limited, cancel := context.WithTimeoutCause(ctx, connectTimeout, errSilent)
	defer cancel()
	client, err := clientv3.New(clientv3.Config{
		Endpoints: c.URLs, TLS: c.TLS, Username: c.User, Password: c.Password, Context: context.WithoutCancel(ctx),
		DialTimeout: connectTimeout, DialKeepAliveTime: aliveAfter, DialKeepAliveTimeout: aliveTimeout,
		PermitWithoutStream: true, Logger: zap.NewNop(),
		DialOptions: newConnections(clock.Go()).options(),
	})
	if err != nil {
		return c.explain(ctx, prefix, err)
	}
	if err = probe(limited, &etcd{client: client, prefix: prefix, clock: clock.Go()}, write); err == nil {
		err = use(limited, client)
	}
	if err == nil {
		return nil
	}
	err = c.explain(ctx, prefix, err)

	return errors.Join(err, client.Close())
}

// errSilent reports that etcd has not answered in time.
var errSilent = errors.New("no answer within " + connectTimeout.String())

// probe reads a key that does not exist, and deletes it if write is true, as often as it takes, unless this is not
// allowed.
func probe(ctx context.Context, e *etcd, write bool) error {
	ops := []ownership.Op{{Kind: ownership.Get, Key: "probe"}}
	if write {
		ops = append(ops, ownership.Op{Kind: ownership.Delete, Key: "probe"})
	}
	for {
		_, err := e.do(ctx, ownership.Txn{Then: ops})
		switch {
		case err == nil, forbidden(err):
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		clock.Pause(ctx, e.clock, firstPause)
	}
}

// forbidden reports whether etcd does not allow the transaction.
func forbidden(err error) bool {
	for _, e := range []error{
		rpctypes.ErrPermissionDenied, rpctypes.ErrUserEmpty, rpctypes.ErrAuthFailed, rpctypes.ErrUserNotFound,
		rpctypes.ErrRoleNotFound, rpctypes.ErrInvalidAuthMgmt,
	} {
		if errors.Is(rpctypes.Error(err), e) {
			return true
		}
	}

	return false
}

// explain returns the error with what to do about it.
func (c Cluster) explain(ctx context.Context, prefix string, err error) error {
	where := strings.Join(c.URLs, ",")
	switch rpc := rpctypes.Error(err); {
	case errors.Is(rpc, rpctypes.ErrAuthFailed), errors.Is(rpc, rpctypes.ErrUserNotFound):
		return fmt.Errorf("etcd at %s does not know the user %q with this password", where, c.User)
	case errors.Is(rpc, rpctypes.ErrUserEmpty):
		return fmt.Errorf("etcd at %s has users: name one that may read and write the keys with the prefix %s", where,
			prefix)
	case errors.Is(rpc, rpctypes.ErrPermissionDenied):
		return fmt.Errorf("etcd at %s does not allow its user to read and write the keys with the prefix %s: grant a "+
			"role of that user readwrite permission for that prefix", where, prefix)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !errors.Is(err, errSilent) && !errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("etcd at %s: %w", where, err)
	}
	err = errors.New("it accepts connections, but has not answered within " + connectTimeout.String() +
		": has it a quorum?")
	for _, member := range c.URLs {
		if cause := c.dial(ctx, member); cause != nil {
			err = fmt.Errorf("%s: %w", member, cause)
			if errors.Is(cause, syscall.ECONNREFUSED) {
				err = fmt.Errorf("%s refuses connections: start etcd there, or correct the address", member)
			}

			break
		}
	}

	return fmt.Errorf("etcd at %s cannot be used: %w", where, err)
}

// alertTime is how long a member may take to refuse a client after the handshake, which is when TLS 1.3 does so.
const alertTime = 300 * time.Millisecond

// dial returns why no connection to a member can be made.
func (c Cluster) dial(ctx context.Context, member string) error {
	u, err := url.Parse(member)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if c.TLS == nil {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
		if err != nil {
			return err
		}

		return conn.Close()
	}
	conn, err := (&tls.Dialer{Config: c.TLS}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	defer conn.Close()
	clk := clock.Go()
	if err := conn.SetReadDeadline(clk.Time(clk.Now()).Add(alertTime)); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return nil
	}

	return err
}
