package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"

	"tenure/internal/clock"
	"tenure/internal/store"
)

// Config configures Open. The zero value works.
type Config struct {
	Dir    string            // state directory; "" means that of DefaultDir
	Logger *slog.Logger      // used by the server while this process hosts it; nil means silent
	Notice func(line string) // called if a client waits or this process cannot serve; calls do not overlap
	Opened func(*Local)      // called before this process can become the host; nil: it is not called

	// The names of settings in messages, for users of a command. "" means the names in package tenure.
	DirSetting     string // sets Dir, such as "--dir"
	AddressSetting string // sets the address of another server, such as "--ydb or TENURE_DSN"
}

// Local connects a process to the embedded server of a state directory, and hosts the server if no other process does.
// Its methods are safe for concurrent use.
type Local struct {
	dir   *directory
	log   *slog.Logger
	clock clock.Clock
	vigil vigil
	ctx   context.Context // Close cancels it with cause errClosed
	end   context.CancelCauseFunc

	aside atomic.Bool  // set by StepAside and reset by Resume: this process must not become the host
	dials atomic.Int32 // calls of dial in progress

	mu    sync.Mutex // guards the rest; held while a host starts or stops
	host  *host      // nil unless this process has become the host
	first net.Conn   // made by Open, until First or Close takes it
	shut  bool       // set by Close
}

// Open prepares the directory and ensures that a process serves there: another process or, from now on, this one. If no
// process serves and this one cannot, Open returns the reason. If another process has the store but does not serve yet,
// Open waits for it until ctx ends.
func Open(ctx context.Context, c Config) (*Local, error) {
	c.DirSetting = cmp.Or(c.DirSetting, "tenure.WithDir")
	c.AddressSetting = cmp.Or(c.AddressSetting, "tenure.Open")
	if c.Dir == "" {
		choice, err := DefaultDir(os.LookupEnv, c.DirSetting)
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
	dir, err := openDirectory(c.Dir, c.DirSetting)
	if err != nil {
		return nil, err
	}
	clk := clock.System()
	l := &Local{dir: dir, log: c.Logger, clock: clk, vigil: vigil{
		clock: clk, dir: dir.path, setting: c.AddressSetting, notice: c.Notice,
	}}
	l.ctx, l.end = context.WithCancelCause(context.WithoutCancel(ctx))
	if c.Opened != nil {
		c.Opened(l)
	}
	if l.first, err = l.dial(ctx, true); err != nil {
		return nil, errors.Join(err, l.Close(ctx))
	}

	return l, nil
}

// Dial connects to the host. If there is none, this process becomes the host. If another process has the store but does
// not serve yet, or if this process cannot serve, Dial tries again until ctx ends.
func (l *Local) Dial(ctx context.Context) (net.Conn, error) { return l.dial(ctx, false) }

// First returns the connection that Open has made to find out that a process serves. Later calls return nil.
func (l *Local) First() net.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	conn := l.first
	l.first = nil

	return conn
}

// dial tries until it has a connection or ctx ends. If first is true, it also ends when this process cannot serve.
func (l *Local) dial(ctx context.Context, first bool) (net.Conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.ctx, func() { cancel(errClosed) })()
	if ctx.Err() != nil || l.ctx.Err() != nil {
		return nil, l.gaveUp(ctx, false)
	}
	l.dials.Add(1)
	defer l.dials.Add(-1)
	l.vigil.want()
	pauses := newPauses()
	for {
		conn, err := l.connect(ctx)
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
			<-ctx.Done() // the dialer may notice the deadline before ctx ends
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
		case err == nil, errors.Is(err, store.ErrLocked): // the process that has the store will serve or is stopping
		case first, errors.Is(err, errClosed):
			return nil, err
		default:
			l.vigil.fault(err)
		}
		clock.Pause(ctx, l.clock, pauses.NextBackOff())
	}
}

// gaveUp returns the error of a dial that ends without a connection. If waited is true, the error names the process
// that the dial was waiting for.
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

// newPauses returns the pauses between attempts. The first is about the time that a host needs to start or stop.
func newPauses() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = time.Millisecond, 100*time.Millisecond
	b.Multiplier, b.RandomizationFactor = 1.3, 0.3

	return b
}

// connect returns a connection on which the host has sent its first byte. Without that byte the host may be stopped or
// about to die, since the kernel accepts connections on its behalf.
func (l *Local) connect(ctx context.Context) (net.Conn, error) {
	address, err := l.dir.address(socketName)
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", address)
	if err != nil {
		return nil, err
	}
	if uid, ok := l.dir.stranger(conn); ok {
		return nil, errors.Join(strangerError(uid), conn.Close())
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })()
	spoken := &spokenConn{Conn: conn, first: make([]byte, 1)}
	if _, err := io.ReadFull(conn, spoken.first); err != nil { // a gRPC server starts by sending its settings
		return nil, errors.Join(err, conn.Close())
	}

	return spoken, nil
}

// spokenConn is a connection whose first byte has already been read.
type spokenConn struct {
	net.Conn

	first []byte // that byte, until Read returns it
}

func (c *spokenConn) Read(p []byte) (int, error) {
	if len(c.first) > 0 && len(p) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]

		return n, nil
	}

	return c.Conn.Read(p)
}

// unserved reports whether err means that no process serves at the socket now: the socket does not exist, no process
// listens on it, or the listening process accepts no more connections or has died.
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

// reason returns the system's error that err wraps, or err if there is none. Callers add the operation and the names in
// their own form.
func reason(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}

	return err
}

var errClosed = errors.New("the client of the embedded server is closed")

// serve makes this process the host, unless it already is.
func (l *Local) serve() (made bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.shut:
		return false, errClosed
	case l.aside.Load(), l.host != nil && l.host.serving():
		return false, nil
	}
	h, err := newHost(l.dir, l.log, l.vigil.fault)
	if err != nil {
		return false, err
	}
	l.host = h

	return true, nil
}

// hosts reports whether this process is the host.
func (l *Local) hosts() bool {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.host != nil && l.host.serving()
}

// Answered records that a session got an answer, so the host is alive.
func (l *Local) Answered() { l.vigil.heard() }

// Unanswered records that a session is now waiting for an answer.
func (l *Local) Unanswered() { l.vigil.want() }

// Close disconnects from the server and ends waiting calls of Dial. If this process is the host, Close waits briefly
// for calls in progress, until ctx ends at the latest, and stops the server so that another process can become the
// host. Calling Close again has no effect.
func (l *Local) Close(ctx context.Context) error {
	l.end(errClosed)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		return nil
	}
	l.shut = true
	if l.first != nil {
		_ = l.first.Close() // nothing was sent on it
	}
	l.vigil.close()

	return errors.Join(l.endHost(ctx), l.dir.close())
}

// endHost stops the host if there is one. The caller must hold l.mu.
func (l *Local) endHost(ctx context.Context) error {
	if l.host == nil {
		return nil
	}
	err := l.host.stop(ctx)
	l.host = nil

	return err
}
