package tenure

import (
	"context"
	"errors"
	"net"
	"os/exec"

	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-sdk/v3/config"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"tenure/internal/clientconfig"
	"tenure/internal/dsn"
	"tenure/internal/embedded"
)

// EmbeddedDatabase is the database of the embedded server. The path of each node on that server begins with it, as in
// "/local/app".
const EmbeddedDatabase = "/local"

// WithDir sets the state directory of the embedded server. All processes that use the same directory share their locks.
// The directory must be on a local disk. Open creates it if it is missing, with mode 0700, so that it belongs to one
// user. A relative dir starts at the working directory of the process when it calls Open.
//
// The members of a group share their locks if they use a directory that belongs to this group and has mode 2770 or
// 0770. They must trust each other: each of them can end and forge the leases of the others. A process of root refuses
// a directory that does not belong to root.
//
// By default, or if dir is empty, the directory is $TENURE_DIR if that variable is set. It must be an absolute path.
// Otherwise the directory is named tenure and is in the first of these directories that is known:
//
//   - $XDG_STATE_HOME
//   - ~/.local/state, where ~ is $HOME
//   - $STATE_DIRECTORY, which systemd sets for a service with StateDirectory=
//   - ~/.local/state, where ~ is the home directory that the system's user database has for the account
//
// A process of root ignores $XDG_STATE_HOME and $HOME if they lead into a directory of another user, as after sudo, and
// uses the home directory of root in the user database.
func WithDir(dir string) Option { return func(c *clientconfig.Config) { c.Dir = dir } }

// WithNotice sets a function that the client calls with a line of text for the user when something prevents the
// embedded server from working, for example because the process that hosts it does not answer, or because the disk is
// full. The client calls notice from its own goroutines, one call at a time. Close waits until a call in progress
// returns.
func WithNotice(notice func(line string)) Option {
	return func(c *clientconfig.Config) { c.Notice = notice }
}

// embeddedServer is a client's part of the embedded server. A client has it as an interface, so that the linker can
// leave the server out of a program that never calls openEmbedded.
type embeddedServer interface {
	Answered()
	Unanswered()
	Lifeline(ctx context.Context, key []byte) (*embedded.Lifeline, error)
	Close(ctx context.Context) error
}

// openEmbedded opens a client of the embedded server.
func openEmbedded(ctx context.Context, cfg *clientconfig.Config) (*Client, error) {
	limited, cancel := dsn.WithLimit(ctx, cfg.ConnectTimeout)
	defer cancel()
	local, err := embedded.Open(limited, embedded.Config{
		Dir: cfg.Dir, Logger: cfg.Logger, Notice: cfg.Notice,
		DirSetting: cfg.DirSetting, AddressSetting: cfg.AddressSetting,
		Opened: func(l *embedded.Local) {
			if cfg.Embedded != nil {
				cfg.Embedded(l)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	conn, err := connectEmbedded(local)
	if err != nil {
		return nil, errors.Join(err, local.Close(ctx))
	}
	c := newClient(directNodes{Ydb_Coordination_V1.NewCoordinationServiceClient(conn)}, conn, cfg)
	c.disconnect, c.local = func(context.Context) error { return conn.Close() }, local
	c.database = EmbeddedDatabase

	return c, nil
}

// connectEmbedded starts to connect to the embedded server. It does not use the SDK's driver, which would take longer
// to open than all the rest: it reads the certificate authorities of the system, also for connections without TLS. It
// sets the options that the driver would set.
func connectEmbedded(local *embedded.Local) (*grpc.ClientConn, error) {
	dial := func(ctx context.Context, _ string) (net.Conn, error) {
		if conn := local.First(); conn != nil {
			return conn, nil
		}

		return local.Dial(ctx)
	}
	conn, err := grpc.NewClient("passthrough:///embedded", append(append(quickReconnect(), fixedWindows()...),
		grpc.WithContextDialer(dial), grpc.WithNoProxy(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(config.DefaultGRPCMsgSize), grpc.MaxCallSendMsgSize(config.DefaultGRPCMsgSize),
		),
		// Unlike the default policy, it connects again as soon as a connection breaks, without waiting for a call.
		grpc.WithDefaultServiceConfig(`{"loadBalancingPolicy": "round_robin"}`),
	)...)
	if err != nil {
		return nil, err
	}
	conn.Connect()

	return conn, nil
}

// answered records that the host of the embedded server has answered. It does not block.
func (c *Client) answered() {
	if c.local != nil {
		c.local.Answered()
	}
}

// unanswered records that the client waits for an answer of the host of the embedded server. It does not block.
func (c *Client) unanswered() {
	if c.local != nil {
		c.local.Unanswered()
	}
}

// makeLifeline creates the lifeline of a session on the embedded server. It must be called before start.
func (s *Session) makeLifeline(ctx context.Context, key []byte) (err error) {
	if local := s.client.local; local != nil {
		s.lifeline, err = local.Lifeline(ctx, key)
	}

	return err
}

// endLifeline ends the lifeline once it is no longer needed. It is called when the session has ended.
//
// If the session was lost, its users have only just learned about it. As long as they may still be working, the server
// must not conclude from the lifeline that they are dead, because it would then grant their locks to others. So
// endLifeline waits until dismiss is called, or until the session timeout has passed. After dismiss it cuts the
// lifeline, unless the server no longer has the session. This matters after a restart of the server, which then keeps
// all sessions for a grace period: the cut lifeline shows that it can end this session earlier. endLifeline reports
// whether it has cut the lifeline.
func (s *Session) endLifeline() (cut bool) {
	if s.lifeline == nil {
		return false
	}
	timer := s.client.clock.NewTimer()
	defer timer.Stop()
	now := s.client.clock.Now()
	timer.Set(now, now.Add(s.timeout))
	select {
	case <-s.dismissed:
		if s.closing.Left {
			s.lifeline.Cut()

			return true
		}
	case <-timer.C():
	}
	s.lifeline.Release()

	return false
}

// Inherit keeps the session from ending early while a command runs that depends on it. Call it before starting the
// command.
//
// A session on the embedded server normally ends as soon as its process dies. After Inherit, if this process dies while
// the command or any of its descendants still runs, the session lives until its timeout has passed, as if the process
// had lost its connection. Inherit does so by passing the command one more file descriptor, which it appends to
// cmd.ExtraFiles.
//
// On other servers Inherit does nothing, because a session there always lives until its timeout.
func (s *Session) Inherit(cmd *exec.Cmd) {
	if s.lifeline != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, s.lifeline.File())
	}
}
