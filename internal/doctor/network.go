package doctor

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"time"

	"tenure/internal/dsn"
)

// Name resolves the host of the address. It returns no line for an IP address or a socket.
func Name(ctx context.Context, a *dsn.Address) []Line {
	host, _, err := net.SplitHostPort(a.Host)
	if err != nil || net.ParseIP(host) != nil {
		return nil
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return []Line{Failed("name", a.Unconnected(ctx, err))}
	}

	return []Line{ok("name", "%s is %s", host, strings.Join(addresses, ", "))}
}

// Connection connects to the server and closes the connection.
func Connection(ctx context.Context, a *dsn.Address, now func() time.Duration) Line {
	if a.Proxied() {
		return ok("connection", "the environment asks for a proxy, so nothing is tried without it")
	}
	began := now()
	conn, err := a.Dial(ctx)
	if err != nil {
		return Failed("connection", a.Unconnected(ctx, err))
	}
	took := now() - began
	defer conn.Close()

	return ok("connection", "%s accepts connections (%v)", a.Host, round(took))
}

// soon is the time before the end of a certificate at which it should be replaced.
const soon = 14 * 24 * time.Hour

// Certificate checks how long the certificates of the server are still valid. Whether they are trusted is found out by
// whoever connects.
func Certificate(chain []*x509.Certificate, now time.Time) Line {
	const check = "certificate"
	if len(chain) == 0 {
		return Line{Check: check, Result: Bad, Found: "the server shows no certificate", Do: "check the address"}
	}
	end := chain[0].NotAfter
	for _, c := range chain[1:] {
		if c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	l := ok(check, "it is for %s, and valid until %s (%s)", dsn.Names(chain[0]),
		end.UTC().Format("2006-01-02 15:04 MST"), days(end.Sub(now)))
	switch left := end.Sub(now); {
	case left <= 0:
		l.Result, l.Do = Bad, "give the server a new certificate, or check the clock of this machine"
	case left < soon:
		l.Result, l.Do = Warn, "give the server a new certificate soon"
	}

	return l
}

func days(left time.Duration) string {
	const day = 24 * time.Hour
	switch n := int(left / day); {
	case left <= 0:
		return "expired"
	case n == 1:
		return "1 day left"
	default:
		return fmt.Sprintf("%d days left", n)
	}
}

// round rounds a time that was measured, for people.
func round(d time.Duration) time.Duration {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond)
	case d < time.Second:
		return d.Round(10 * time.Microsecond)
	}

	return d.Round(time.Millisecond)
}
