package tenure

import (
	"context"
	"errors"
	"net"
	"os/exec"

	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/balancers"
	"github.com/ydb-platform/ydb-go-sdk/v3/config"
	"google.golang.org/grpc"

	"tenure/internal/clientconfig"
	"tenure/internal/dsn"
	"tenure/internal/embedded"
	"tenure/internal/ydberr"
)

// EmbeddedDatabase is the database of the embedded server; paths of its nodes are below it.
const EmbeddedDatabase = "/local"

// embeddedDSN names no machine and no port: where it leads to is the dialer's business.
const embeddedDSN = "grpc://embedded:1" + EmbeddedDatabase

// WithDir sets the state directory of the embedded server: all processes that name the same one share their locks. By
// default it is $TENURE_DIR, or tenure below $XDG_STATE_HOME, or ~/.local/state/tenure. It must be on a local disk, and
// open to its owner alone; it is made if it is missing.
func WithDir(dir string) Option { return func(c *clientconfig.Config) { c.Dir = dir } }

// WithNotice has notice called with a line for people when something keeps the embedded server from serving: a process
// that hosts it and does not answer, a disk that is full. Calls come one at a time, from goroutines of the client's;
// until one returns, Close does not.
func WithNotice(notice func(line string)) Option {
	return func(c *clientconfig.Config) { c.Notice = notice }
}

// openEmbedded opens a client of the embedded server.
func openEmbedded(ctx context.Context, cfg *clientconfig.Config) (*Client, error) {
	limited, cancel := dsn.WithLimit(ctx, cfg.ConnectTimeout)
	defer cancel()
	local, err := embedded.Open(limited, embedded.Config{Dir: cfg.Dir, Logger: cfg.Logger, Notice: cfg.Notice})
	if err != nil {
		return nil, err
	}
	driver, err := ydb.Open(limited, embeddedDSN, ydb.WithAnonymousCredentials(), WithQuickReconnect(),
		ydb.WithBalancer(balancers.SingleConn()), // there is nothing to discover
		ydb.With(config.WithGrpcOptions(grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return local.Dial(ctx)
		}))),
	)
	if err != nil {
		err = ydberr.Wrap("connect to the embedded server", err)
		if limited.Err() != nil { // the SDK does not say why its dials failed
			err = local.GaveUp(limited)
		}

		return nil, errors.Join(err, local.Close(ctx))
	}
	c := newClient(driver.Coordination(), ydb.GRPCConn(driver), cfg)
	c.driver, c.local = driver, local

	return c, nil
}

// answered and unanswered keep an eye on the host of the embedded server. They do not block.

func (c *Client) answered() {
	if c.local != nil {
		c.local.Answered()
	}
}

func (c *Client) unanswered() {
	if c.local != nil {
		c.local.Unanswered()
	}
}

// makeLifeline comes before the session's start.
func (s *Session) makeLifeline(ctx context.Context, key []byte) (err error) {
	if local := s.client.local; local != nil {
		s.lifeline, err = local.Lifeline(ctx, key)
	}

	return err
}

// endLifeline is called when the session is over. Who worked under it has just been told, if it was lost; until they
// have stopped, or the session's timeout is over, it must not look as if they were dead: the next would be let in. When
// they have, a server that still has the session may see that: after a restart it gives all sessions a grace.
func (s *Session) endLifeline() {
	if s.lifeline == nil {
		return
	}
	timer := s.client.clock.NewTimer()
	defer timer.Stop()
	now := s.client.clock.Now()
	timer.Set(now, now.Add(s.timeout))
	select {
	case <-s.dismissed:
		if !s.gone {
			s.lifeline.Cut()

			return
		}
	case <-timer.C():
	}
	s.lifeline.Release()
}

// Inherit lets the command, which is to be started after that, share in the life of the session on the embedded server:
// if this process dies while the command, or what that has started, is still there, the session lives for its timeout,
// as if it had been cut off. Without it a session on the embedded server ends as soon as this process is dead. On other
// servers Inherit does nothing, since it needs nothing. The command gets one more descriptor (cmd.ExtraFiles).
func (s *Session) Inherit(cmd *exec.Cmd) {
	if s.lifeline != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, s.lifeline.File())
	}
}
