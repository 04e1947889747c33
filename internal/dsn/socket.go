package dsn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"tenure/internal/peercred"
	"tenure/internal/trust"
)

const (
	socketScheme = "unix"
	socketForm   = "write unix:///path/of/socket, for example unix:///run/tenure/socket"

	defaultDatabase = "/local" // that of "tenure serve" without --database

	// socketEndpoint is the address that the driver takes for that of the server. It connects to the socket instead.
	socketEndpoint = "127.0.0.1:2136"
)

// parseSocket parses an address of the form unix:///path/of/socket, with the parameters database, which is /local if it
// is not given, and user, which names the user whom the server belongs to.
func parseSocket(setting, text string, u *url.URL) (*Address, error) {
	query := u.Query()
	database := strings.TrimRight(cmp.Or(query.Get("database"), defaultDatabase), "/")
	owner := query.Get("user")
	query.Del("database")
	query.Del("user")
	var problem string
	advice := socketForm
	switch {
	case u.Host != "" || u.User != nil || !filepath.IsAbs(u.Path):
		problem = "does not have an absolute path"
	case strings.HasSuffix(u.Path, "/"):
		problem = "is not the path of a file"
	case len(query) > 0 || u.Fragment != "":
		problem, advice = "has an unknown parameter", "there are only database and user"
	case !isPath(database):
		problem, advice = "has a database that is not a path", "write e.g. ?database=/local"
	case strings.ContainsRune(u.Path, 0):
		problem = "has a path with a zero byte"
	default:
		return &Address{
			Host: u.Path, Database: database, url: "grpc://" + socketEndpoint + database, setting: setting, hints: apiHints,
			socket: u.Path, owner: owner,
		}, nil
	}

	return nil, fmt.Errorf("%s=%q %s: %s", setting, Redact(text), problem, advice)
}

// isPath reports whether the text is an absolute path that can be sent as a header.
func isPath(database string) bool { return strings.HasPrefix(database, "/") && !unprintable(database) }

// Endpoint returns the host:port that a driver connects to. That of a Unix socket means nothing.
func (a *Address) Endpoint() string {
	if a.socket != "" {
		return socketEndpoint
	}

	return a.Host
}

// Dial connects to the server. On a Unix socket, it checks that the server belongs to this user, to root, or to the
// user whom the address names. The error does not say what to do about it; see Probe.
func (a *Address) Dial(ctx context.Context) (net.Conn, error) {
	if a.socket == "" {
		return (&net.Dialer{}).DialContext(ctx, "tcp", a.Host)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", a.socket)
	if err != nil {
		return nil, err
	}
	if err := a.checkOwner(conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}

	return conn, nil
}

// checkOwner returns an error if the server may be one that somebody else has put there.
func (a *Address) checkOwner(conn net.Conn) error {
	uid, err := peercred.UID(conn)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return nil
	case err != nil:
		return err
	case a.owner == "" && trust.Us(int(uid)), a.owner != "" && a.owner == strconv.FormatUint(uint64(uid), 10):
		return nil
	}
	id := strconv.FormatUint(uint64(uid), 10)
	name := id
	if u, err := user.LookupId(id); err == nil {
		name = u.Username
	}
	if a.owner != "" {
		if name == a.owner {
			return nil
		}

		return stranger(fmt.Sprintf("the server at %s belongs to the user %s, and not to %s: check the user in %s, and "+
			"who has created the socket", a.socket, name, a.owner, a.setting))
	}

	return stranger(fmt.Sprintf("the server at %s belongs to the user %s, and not to this user or root: if that is "+
		"right, write unix://%s?user=%s in %s", a.socket, name, a.socket, url.QueryEscape(name), a.setting))
}

// A stranger is an error for a server that belongs to another user.
type stranger string

func (s stranger) Error() string { return string(s) }

// unconnectedSocket returns the error for a failed dial of a socket.
func (a *Address) unconnectedSocket(err error) error {
	if s, ok := errors.AsType[stranger](err); ok {
		return s
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errorf(err, `no server at %s (no such file): start one with "tenure serve --socket %s", or check %s`,
			a.Host, a.socket, a.setting)
	case errors.Is(err, syscall.ECONNREFUSED):
		return errorf(err, `no server at %s (it has ended): start one with "tenure serve --socket %s", or check %s`,
			a.Host, a.socket, a.setting)
	case errors.Is(err, fs.ErrPermission):
		return errorf(err, "no permission to connect to %s: run as a member of the group of the socket, or check %s",
			a.Host, a.setting)
	}
	reason := err
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		reason = errno
	}

	return errorf(err, "cannot connect to %s (%v): check %s", a.Host, reason, a.setting)
}
