package dsn

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"time"

	"tenure/internal/clock"
)

// Probe connects to the server, exchanges the first frames of HTTP/2 with it, and closes the connection. It returns an
// error if the server cannot be one of the protocol. If the environment asks for a proxy, it checks nothing.
//
// ydb.Open would repeat a failed attempt until its context ends, and then not say what failed.
func (a *Address) Probe(ctx context.Context, config *tls.Config) error {
	if a.Proxied() {
		return nil
	}
	conn, err := a.Dial(ctx)
	if err != nil {
		return a.Unconnected(ctx, err)
	}
	switch err := a.greet(ctx, conn, config); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return a.unanswered(ctx, "it accepts connections but sends nothing: check that the server is not "+
			"stopped or overloaded, and the "+a.part()+" in "+a.setting)
	default:
		return a.ungreeted(ctx, err, config != nil)
	}
}

// Proxied reports whether gRPC connects to the server through a proxy, or fails because it cannot find that out.
func (a *Address) Proxied() bool {
	if a.socket != "" {
		return false
	}
	target := &http.Request{URL: &url.URL{Scheme: "https", Host: a.Host}}
	proxy, err := http.ProxyFromEnvironment(target)

	return err != nil || proxy != nil
}

// unanswered returns the error for a server that has not answered before ctx ended.
func (a *Address) unanswered(ctx context.Context, more string) error {
	when := fmt.Sprintf("(%v)", context.Cause(ctx))
	if limit, ok := errors.AsType[connectLimit](context.Cause(ctx)); ok {
		when = fmt.Sprintf("within %v", time.Duration(limit))
	}

	return errorf(context.Cause(ctx), "no answer from %s %s: %s", a.Host, when, more)
}

// Unconnected returns the error for a failed Dial or a failed look-up of the host, which says what to do about it. It
// leaves out the addresses that package net adds.
func (a *Address) Unconnected(ctx context.Context, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) { // the dialer may see that the time is up before ctx ends
		clock.Pause(ctx, clock.Go(), time.Second)
	}
	if ctx.Err() != nil {
		return a.unanswered(ctx, "check "+a.setting+", and whether a firewall drops the connection")
	}
	if a.socket != "" {
		return a.unconnectedSocket(err)
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return errorf(err, "no server at %s (no such host): check the host name in %s", a.Host, a.setting)
		}

		return errorf(err, "cannot look up the host of %s (%s): check %s and the DNS settings of this machine",
			a.Host, dns.Err, a.setting)
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return errorf(err, `no server at %s (connection refused): start one with "tenure serve", or check %s`,
			a.Host, a.setting)
	}
	reason := err
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		reason = errno
	}

	return errorf(err, "cannot connect to %s (%v): check %s and the network", a.Host, reason, a.setting)
}

// ungreeted returns the error for a server that is not of the protocol, or that expects TLS and is not asked for it, or
// the reverse.
func (a *Address) ungreeted(ctx context.Context, err error, secure bool) error {
	if untrusted, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return a.untrusted(untrusted)
	}
	if secure {
		if refused := a.refused(err); refused != nil {
			return refused
		}
	}
	said, _ := errors.AsType[unexpected](err)
	if header, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		said = header.RecordHeader[:]
	}
	switch {
	case bytes.HasPrefix(said, []byte("HTTP/")):
		return a.otherServer("an HTTP server answers")
	case bytes.HasPrefix(said, []byte("SSH-")):
		return a.otherServer("an SSH server answers")
	case !secure && a.socket == "" && a.greets(ctx, &tls.Config{InsecureSkipVerify: true}): // what it says is not used
		return errorf(err, "the server at %s requires TLS: write grpcs:// instead of grpc:// in %s", a.Host, a.setting)
	case secure && a.greets(ctx, nil):
		return errorf(err, "the server at %s does not use TLS: write grpc:// instead of grpcs:// in %s",
			a.Host, a.setting)
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE):
		return errorf(err, "the server at %s closes the connection without an answer: check the %s in %s",
			a.Host, a.part(), a.setting)
	case alert(err) == "tls: no application protocol":
		return a.otherServer("an HTTPS server answers")
	case said == nil: // another alert
		return errorf(err, "cannot connect to %s (%v): check %s", a.Host, err, a.setting)
	}

	return a.otherServer("it does not answer by HTTP/2")
}

var errOtherServer = errors.New("not a server of the protocol")

func (a *Address) otherServer(sign string) error {
	return errorf(errOtherServer, "the server at %s is not a YDB or tenure server (%s): check the %s in %s",
		a.Host, sign, a.part(), a.setting)
}

// part names the part of the address that another server may be at.
func (a *Address) part() string {
	if a.socket != "" {
		return "path"
	}

	return "port"
}

// greets reports whether the server answers at all with this config. A server that never answers delays it by a second.
func (a *Address) greets(ctx context.Context, config *tls.Config) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := a.Dial(ctx)
	if err != nil {
		return false
	}
	err = a.greet(ctx, conn, config)

	return err == nil || alert(err) != ""
}

// alert returns the text of an alert that the server has sent over TLS, or "".
func alert(err error) string {
	if remote, ok := errors.AsType[*net.OpError](err); ok && remote.Op == "remote error" {
		return remote.Err.Error()
	}

	return ""
}

// An unexpected error is the beginning of an answer that is not HTTP/2.
type unexpected []byte

func (u unexpected) Error() string { return fmt.Sprintf("unexpected answer %q", []byte(u)) }

// Client and server each begin a connection of HTTP/2 with a frame of the type SETTINGS, the client after its preface.
const (
	preface  = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	settings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00" // an empty one
)

// greet begins a connection of HTTP/2, over TLS unless config is nil, and closes it. It sends no credentials.
func (a *Address) greet(ctx context.Context, tcp net.Conn, config *tls.Config) error {
	defer tcp.Close()
	defer context.AfterFunc(ctx, func() { _ = tcp.SetDeadline(time.Unix(1, 0)) })()
	conn := tcp
	if config != nil {
		config = config.Clone()
		config.NextProtos = []string{"h2"} // as gRPC does
		if config.ServerName == "" {
			config.ServerName, _, _ = net.SplitHostPort(a.Host)
		}
		conn = tls.Client(tcp, config)
	}
	_, written := io.WriteString(conn, preface+settings)
	if secure, ok := conn.(*tls.Conn); written != nil && (!ok || !secure.ConnectionState().HandshakeComplete) {
		return written
	}
	header := make([]byte, len(settings))
	n, err := io.ReadFull(conn, header) // it may have an alert that says why the server did not read what was written
	switch {
	case n > 3 && header[0] == 0 && header[3] == settings[3]:
		return nil
	case n > 0:
		return unexpected(header[:n])
	default:
		return err
	}
}
