package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"

	"tenure/internal/clock"
	"tenure/internal/store"
)

// Config says where the server is, and whom to tell what about it. The zero value works.
type Config struct {
	Dir    string            // state directory; empty: that of DefaultDir
	Logger *slog.Logger      // of the server, while it is hosted here; nil: silent
	Notice func(line string) // told what is waited for, and why this process can't serve; one call at a time
}

// Local is a process's share in the embedded server of a state directory: its way to whoever hosts it, and its
// readiness to be that. Its methods may be called from several goroutines.
type Local struct {
	dir   *directory
	log   *slog.Logger
	clock clock.Clock
	vigil vigil
	ctx   context.Context // ends with Close, by errClosed
	end   context.CancelCauseFunc

	mu   sync.Mutex // guards host, and holds the steps of its making together
	host *host      // nil: it is not here
	shut bool
}

// Open makes sure of the directory, and that somebody serves there: another process, or from now on this one. What
// keeps this process from serving is an error if nobody else does. It waits while another one seems about to serve,
// until ctx ends.
func Open(ctx context.Context, c Config) (*Local, error) {
	if c.Dir == "" {
		choice, err := DefaultDir(os.LookupEnv)
		if err != nil {
			return nil, err
		}
		c.Dir = choice.Dir
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Notice == nil {
		c.Notice = func(string) {}
	}
	dir, err := openDirectory(c.Dir)
	if err != nil {
		return nil, err
	}
	clk := clock.System()
	l := &Local{dir: dir, log: c.Logger, clock: clk, vigil: vigil{clock: clk, dir: dir.path, notice: c.Notice}}
	l.ctx, l.end = context.WithCancelCause(context.WithoutCancel(ctx))
	conn, err := l.dial(ctx, true)
	if err != nil {
		return nil, errors.Join(err, l.Close(ctx))
	}

	return l, conn.Close()
}

// Dial connects to the host. If there is none, this process becomes it. It waits for another one that is about to
// serve, until ctx ends.
func (l *Local) Dial(ctx context.Context) (net.Conn, error) { return l.dial(ctx, false) }

// dial tries until it has a connection or ctx ends; first: what keeps this process from serving ends it too.
func (l *Local) dial(ctx context.Context, first bool) (net.Conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.ctx, func() { cancel(errClosed) })()
	if ctx.Err() != nil || l.ctx.Err() != nil {
		return nil, l.gaveUp(ctx, false)
	}
	l.vigil.want()
	pauses := newPauses()
	for {
		conn, err := l.connect(ctx)
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
			<-ctx.Done() // the dialer may have seen its deadline first
		}
		switch {
		case err == nil:
			l.vigil.heard()

			return conn, nil
		case ctx.Err() != nil:
			return nil, l.gaveUp(ctx, !l.hosts())
		case !unserved(err):
			return nil, fmt.Errorf("state directory %q: connect to its socket: %w", l.dir.path, reason(err))
		}
		switch made, err := l.serve(); {
		case made:
			continue
		case err == nil, errors.Is(err, store.ErrLocked): // whoever has the store will serve soon, or stops right now
		case first, errors.Is(err, errClosed):
			return nil, err
		default:
			l.vigil.fault(err)
		}
		clock.Pause(ctx, l.clock, pauses.NextBackOff())
	}
}

// gaveUp says why a dial ends without a connection; waited: another process did not serve.
func (l *Local) gaveUp(ctx context.Context, waited bool) error {
	switch {
	case l.ctx.Err() != nil:
		return errClosed
	case waited:
		return fmt.Errorf("%w: %s", context.Cause(ctx), l.vigil.silent())
	default:
		return fmt.Errorf("state directory %q: %w", l.dir.path, context.Cause(ctx))
	}
}

// newPauses begins with the time that a host needs to begin or end its service.
func newPauses() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = time.Millisecond, 100*time.Millisecond
	b.Multiplier, b.RandomizationFactor = 1.3, 0.3

	return b
}

// connect returns a connection over which the host has spoken: the kernel connects to a process, too, that is stopped
// or about to die.
func (l *Local) connect(ctx context.Context) (net.Conn, error) {
	address, err := l.dir.address(socketName)
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", address)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })()
	spoken := &spokenConn{Conn: conn, first: make([]byte, 1)}
	if _, err := io.ReadFull(conn, spoken.first); err != nil { // gRPC's server begins by its settings
		return nil, errors.Join(err, conn.Close())
	}

	return spoken, nil
}

// spokenConn is a connection of which the first byte has been read.
type spokenConn struct {
	net.Conn

	first []byte // until it is read again
}

func (c *spokenConn) Read(p []byte) (int, error) {
	if len(c.first) > 0 && len(p) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]

		return n, nil
	}

	return c.Conn.Read(p)
}

// unserved says whether nobody serves at the socket now: there is none, or nobody listens, or who does takes no more
// connections, or has died.
func unserved(err error) bool {
	for _, e := range []error{
		syscall.ENOENT, syscall.ECONNREFUSED, syscall.EAGAIN, syscall.ECONNRESET, syscall.EPIPE, io.EOF,
	} {
		if errors.Is(err, e) {
			return true
		}
	}

	return false
}

// reason returns the system's error without the names that the caller gives better.
func reason(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}

	return err
}

var errClosed = errors.New("the client of the embedded server is closed")

// serve makes this process the host, unless it is that already.
func (l *Local) serve() (made bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.shut:
		return false, errClosed
	case l.host != nil && l.host.serving():
		return false, nil
	}
	h, err := newHost(l.dir, l.log, l.vigil.fault)
	if err != nil {
		return false, err
	}
	l.host = h

	return true, nil
}

// hosts says whether this process is the host.
func (l *Local) hosts() bool {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.host != nil && l.host.serving()
}

// Answered says that a session was heard of: whoever hosts is well.
func (l *Local) Answered() { l.vigil.heard() }

// Unanswered says that a session waits for an answer from now on.
func (l *Local) Unanswered() { l.vigil.want() }

// Close ends the process's share, and the calls of Dial that wait. If it is the host it lets calls end until ctx does,
// and makes place for another process. Twice is fine.
func (l *Local) Close(ctx context.Context) error {
	l.end(errClosed)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		return nil
	}
	l.shut = true
	l.vigil.close()
	var err error
	if l.host != nil {
		err = l.host.stop(ctx)
	}

	return errors.Join(err, l.dir.close())
}
