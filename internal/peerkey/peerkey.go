// Package peerkey lets servers that share a secret key recognise each other. A connection between two of them begins
// with a few bytes that no client sends. TLS follows, in which each side proves that it has the key. Servers accept
// such connections on the same port as those of clients, with and without TLS.
package peerkey

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"time"

	"google.golang.org/grpc/credentials"
)

// hello is what the dialing server sends first. Its first byte is neither that of TLS nor that of HTTP/2.
const hello = "tenure1\n"

// Info is the credentials.AuthInfo of a connection to another server that has the key.
type Info struct{ credentials.CommonAuthInfo }

// AuthType implements credentials.AuthInfo.
func (Info) AuthType() string { return "tenure" }

// Key is derived from the secret that servers share. Its methods are safe for concurrent use.
type Key struct {
	secret []byte
	config *tls.Config
}

// New returns the key of a secret, which must be long and random.
func New(secret []byte) (*Key, error) {
	k := &Key{secret: secret}
	seed, err := k.Derive("tls", ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	private := ed25519.NewKeyFromSeed(seed)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, fmt.Errorf("certificate for other servers: %w", err)
	}
	k.config = &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: private}},
		ClientAuth:   tls.RequireAnyClientCert,
		MinVersion:   tls.VersionTLS13,
		// The certificate of the other side is not checked, only that the other side has the key. Names, dates and
		// authorities have no meaning here.
		InsecureSkipVerify:     true, //nolint:gosec // see above
		VerifyConnection:       func(s tls.ConnectionState) error { return verify(s, private) },
		SessionTicketsDisabled: true,
	}

	return k, nil
}

var errForeign = errors.New("the other server does not have the key of this server's cluster")

func verify(s tls.ConnectionState, own ed25519.PrivateKey) error {
	if len(s.PeerCertificates) == 0 || !own.Public().(ed25519.PublicKey).Equal(s.PeerCertificates[0].PublicKey) {
		return errForeign
	}

	return nil
}

// Derive returns a key of the given length that all servers have in common. A different purpose gives a different key.
func (k *Key) Derive(purpose string, length int) ([]byte, error) {
	return hkdf.Key(sha256.New, k.secret, nil, "tenure "+purpose, length)
}

// Client returns the credentials with which a server connects to another one.
func (k *Key) Client() credentials.TransportCredentials { return &client{credentials.NewTLS(k.config)} }

// Server returns credentials that accept connections from other servers, whose AuthInfo is an Info, and leave all
// others to inner.
func (k *Key) Server(inner credentials.TransportCredentials) credentials.TransportCredentials {
	return &server{inner, credentials.NewTLS(k.config)}
}

func info() Info {
	return Info{credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}
}

type client struct {
	credentials.TransportCredentials
}

// ClientHandshake implements credentials.TransportCredentials.
func (c *client) ClientHandshake(
	ctx context.Context, authority string, conn net.Conn,
) (net.Conn, credentials.AuthInfo, error) {
	if _, err := io.WriteString(conn, hello); err != nil {
		return nil, nil, err
	}
	conn, _, err := c.TransportCredentials.ClientHandshake(ctx, authority, conn)

	return conn, info(), err
}

// Clone implements credentials.TransportCredentials.
func (c *client) Clone() credentials.TransportCredentials {
	return &client{c.TransportCredentials.Clone()}
}

type server struct {
	credentials.TransportCredentials

	peers credentials.TransportCredentials
}

// ServerHandshake implements credentials.TransportCredentials. It reads the first byte, so it waits for a client that
// sends nothing. gRPC limits the time.
func (s *server) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if a := conn.LocalAddr(); a != nil && a.Network() == "unix" {
		return s.TransportCredentials.ServerHandshake(conn) // which asks the kernel about the connection
	}
	var first [1]byte
	if _, err := io.ReadFull(conn, first[:]); err != nil {
		return nil, nil, err
	}
	if first[0] != hello[0] {
		return s.TransportCredentials.ServerHandshake(&unread{Conn: conn, first: first, has: true})
	}
	var rest [len(hello) - 1]byte
	if _, err := io.ReadFull(conn, rest[:]); err != nil {
		return nil, nil, err
	}
	if string(rest[:]) != hello[1:] {
		return nil, nil, errForeign
	}
	conn, _, err := s.peers.ServerHandshake(conn)

	return conn, info(), err
}

// Clone implements credentials.TransportCredentials.
func (s *server) Clone() credentials.TransportCredentials {
	return &server{s.TransportCredentials.Clone(), s.peers.Clone()}
}

// unread is a connection whose first byte has been read. One goroutine at a time reads from it.
type unread struct {
	net.Conn

	first [1]byte
	has   bool
}

// Read implements net.Conn.
func (u *unread) Read(p []byte) (int, error) {
	if !u.has || len(p) == 0 {
		return u.Conn.Read(p)
	}
	u.has = false

	return copy(p, u.first[:]), nil
}

// NetConn returns the connection with the file descriptor.
func (u *unread) NetConn() net.Conn { return u.Conn }
