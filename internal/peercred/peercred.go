// Package peercred finds out who is at the other end of a connection: by TLS over a network, and by what the kernel
// says on a Unix socket.
package peercred

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"syscall"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// Info is the credentials.AuthInfo of a connection over a Unix socket. That of a connection with TLS is a
// credentials.TLSInfo, and other connections have neither.
type Info struct {
	credentials.CommonAuthInfo

	UID uint32 // of the process at the other end, at the time when it connected or began to listen
}

// AuthType implements credentials.AuthInfo.
func (Info) AuthType() string { return "unix" }

// UID returns the user id of the process at the other end of a connection over a Unix socket. The process that listens
// has the user id with which it began to listen. The error is errors.ErrUnsupported on systems that do not tell.
func UID(conn net.Conn) (uint32, error) {
	if !overUnix(conn) {
		return 0, fmt.Errorf("the connection from %v is not over a Unix socket", conn.RemoteAddr())
	}
	for {
		wrapped, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		conn = wrapped.NetConn()
	}
	raw, ok := conn.(syscall.Conn)
	if !ok {
		return 0, fmt.Errorf("user id of the peer: a %T has no file descriptor", conn)
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("user id of the peer: %w", err)
	}
	var uid uint32
	var failed error
	if err := control.Control(func(fd uintptr) { uid, failed = peerUID(int(fd)) }); err != nil {
		failed = err
	}
	if failed != nil {
		return 0, fmt.Errorf("user id of the peer: %w", failed)
	}

	return uid, nil
}

func overUnix(conn net.Conn) bool {
	address := conn.LocalAddr()

	return address != nil && address.Network() == "unix"
}

// New returns transport credentials for servers and clients. They use the config on a connection over a network, or no
// TLS if it is nil. They use no TLS on a connection over a Unix socket.
func New(config *tls.Config) credentials.TransportCredentials {
	c := &transport{network: insecure.NewCredentials(), local: insecure.NewCredentials()}
	if config != nil {
		c.network = credentials.NewTLS(config)
	}

	return c
}

type transport struct {
	network, local credentials.TransportCredentials
}

// ServerHandshake implements credentials.TransportCredentials.
func (t *transport) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if !overUnix(conn) {
		return t.network.ServerHandshake(conn)
	}

	return t.identify(conn)
}

// ClientHandshake implements credentials.TransportCredentials.
func (t *transport) ClientHandshake(
	ctx context.Context, authority string, conn net.Conn,
) (net.Conn, credentials.AuthInfo, error) {
	if !overUnix(conn) {
		return t.network.ClientHandshake(ctx, authority, conn)
	}

	return t.identify(conn)
}

// identify asks the kernel for the peer. Where the kernel does not tell, the peer stays unknown, and a server gives it
// the rights of an unknown caller.
func (t *transport) identify(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	uid, err := UID(conn)
	if errors.Is(err, errors.ErrUnsupported) {
		return t.local.ServerHandshake(conn)
	}
	if err != nil {
		return nil, nil, err
	}
	level := credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}

	return conn, Info{CommonAuthInfo: level, UID: uid}, nil
}

// Info implements credentials.TransportCredentials.
func (t *transport) Info() credentials.ProtocolInfo { return t.network.Info() }

// Clone implements credentials.TransportCredentials.
func (t *transport) Clone() credentials.TransportCredentials {
	return &transport{network: t.network.Clone(), local: t.local}
}

// OverrideServerName implements credentials.TransportCredentials.
func (t *transport) OverrideServerName(string) error {
	return errors.New("not supported: use grpc.WithAuthority")
}
