package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"tenure/internal/clock"
	"tenure/internal/serverconfig"
	"tenure/internal/store/logstore"
	"tenure/server"
)

const (
	// farewell is how long a host that shuts down cleanly waits until its clients have noticed. A client that does not
	// notice in time may be stopped itself, and the other clients should not have to wait for it.
	farewell = 200 * time.Millisecond

	// questionLimit is how long the host waits for a question after the connection of a process. The process may stand
	// still in between on a busy machine, and would get an error.
	questionLimit = 10 * time.Second

	// sweepPeriod is the interval at which the host looks for lifelines that are no longer needed.
	sweepPeriod = time.Minute
)

// service is what a host does with its server once the server runs. The fields of a host name neither *server.Server
// nor *http.Server, because each package that uses a Local would compile the generic code of all types behind them
// again.
type service interface {
	Status(ctx context.Context) (server.Status, error)
	Stop(ctx context.Context) error
}

// host is the server inside this process.
type host struct {
	dir    *directory
	log    *slog.Logger
	server service
	socket atomic.Pointer[socket] // where the server listens; nil until it does
	admin  *serverconfig.Admin    // ends sessions
	people io.Closer              // answers requests for a Report on the other socket

	running sync.WaitGroup // goroutines that run alongside the server and end with it
	ended   chan struct{}  // closed when the server has stopped and another process can become the host
}

// newHost opens the store, which only one process at a time can do (E1), and serves until stop is called or an error
// occurs. In the latter case it passes the error to failed.
func newHost(dir *directory, log *slog.Logger, failed func(error)) (*host, error) {
	store, err := logstore.Open(dir.path, logstore.Options{Logger: log, LogSize: logstore.SmallLog})
	if err != nil {
		return nil, err
	}
	lines := &lifelines{dir: dir}
	h := &host{dir: dir, log: log, admin: &serverconfig.Admin{}, ended: make(chan struct{})}
	srv, err := server.New(func(c *serverconfig.Config) {
		c.NoDiskReserve = true // notices tell clients of a full disk, and a lock needs room for a moment only
		c.Store, c.Lifelines, c.Logger, c.InPlace, c.Admin = store, lines, log, h.inPlace, h.admin
	})
	if err != nil {
		return nil, err // server.New has closed the store
	}
	status, err := dir.listen(statusName)
	if err != nil {
		return nil, errors.Join(err, srv.Stop(context.Background()))
	}
	s, err := dir.listen(socketName)
	if err != nil {
		return nil, errors.Join(err, status.Close(), srv.Stop(context.Background()))
	}

	h.server = srv
	h.socket.Store(s)
	people := &http.Server{
		Handler: h, ReadHeaderTimeout: questionLimit, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	h.people = people
	ctx, cancel := context.WithCancel(context.Background())
	h.running.Go(func() { _ = people.Serve(status) })
	h.running.Go(func() { h.sweep(ctx, lines) })
	go func() { // ends with the server; see stop
		defer close(h.ended)
		err := srv.Serve(s)
		cancel()
		_ = h.people.Close()
		h.running.Wait()
		_ = srv.Stop(context.Background()) // releases the store if the server has failed
		if err != nil {
			failed(fmt.Errorf("the server in %q has stopped: %w", dir.path, err))
		}
	}()

	return h, nil
}

// serving reports whether the server still runs, which means that this process has the store open.
func (h *host) serving() bool {
	select {
	case <-h.ended:
		return false
	default:
		return true
	}
}

// stop shuts the server down. It waits for calls in progress until ctx ends, but not longer than farewell. When stop
// returns, another process can become the host. The sockets are removed before the store's lock is released (E2).
func (h *host) stop(ctx context.Context) error {
	if !h.serving() {
		return nil // it has failed, and failed was called
	}
	ctx, cancel := context.WithTimeout(ctx, farewell)
	defer cancel()
	_ = h.people.Close()
	err := h.server.Stop(ctx)
	<-h.ended

	return err
}

// inPlace returns an error if the socket is no longer at its path, because the directory or its content was removed. In
// that case new clients cannot find this server and start another one with an empty store, which may grant the same
// locks. Once this server has stopped, its clients connect to the other one and find that their sessions are gone.
func (h *host) inPlace() error {
	if s := h.socket.Load(); s != nil && !s.inPlace() {
		return errors.New("its socket was removed: do not change the directory while it is in use")
	}

	return nil
}

// sweep periodically removes lifelines that are no longer needed, until ctx ends.
func (h *host) sweep(ctx context.Context, lines *lifelines) {
	for clk := clock.Go(); clock.Pause(ctx, clk, sweepPeriod); {
		if err := lines.sweep(); err != nil {
			h.log.WarnContext(ctx, "cannot remove left-over lifelines", "error", err)
		}
	}
}
