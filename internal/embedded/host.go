package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"tenure/internal/clock"
	"tenure/internal/serverconfig"
	"tenure/internal/store/pebblestore"
	"tenure/server"
)

const (
	// farewell is how long a host that stops in order waits for clients to hear of it: who does not is perhaps stopped
	// itself, and the others shall not wait for it.
	farewell = 200 * time.Millisecond

	// sweepPeriod is the time between two looks for lifelines that nobody needs.
	sweepPeriod = time.Minute

	// placePeriod is the time between two looks whether the host is still the one that clients find.
	placePeriod = time.Second
)

// host is the server in this process.
type host struct {
	dir    *directory
	log    *slog.Logger
	server *server.Server
	socket *socket      // the server's
	people *http.Server // answers on the other one

	running sync.WaitGroup // what goes on beside the server, until it stops
	lost    error          // set by keepPlace, which is one of them
	ended   chan struct{}  // closed when another process can host
}

// newHost opens the store, which one process at a time can (E1), and serves until stop is called or something fails,
// which failed is told.
func newHost(dir *directory, log *slog.Logger, failed func(error)) (*host, error) {
	store, err := pebblestore.Open(dir.path, pebblestore.Options{Logger: log, LogSize: pebblestore.SmallLog})
	if err != nil {
		return nil, err
	}
	lines := &lifelines{dir: dir.path}
	srv, err := server.New(func(c *serverconfig.Config) { c.Store, c.Lifelines, c.Logger = store, lines, log })
	if err != nil {
		return nil, err // it has closed the store
	}
	status, err := dir.listen(statusName)
	if err != nil {
		return nil, errors.Join(err, srv.Stop(context.Background()))
	}
	s, err := dir.listen(socketName)
	if err != nil {
		return nil, errors.Join(err, status.Close(), srv.Stop(context.Background()))
	}

	h := &host{dir: dir, log: log, server: srv, socket: s, ended: make(chan struct{})}
	h.people = &http.Server{
		Handler: h, ReadHeaderTimeout: time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.running.Go(func() { _ = h.people.Serve(status) })
	h.running.Go(func() { h.keepPlace(ctx) })
	h.running.Go(func() { h.sweep(ctx, lines) })
	go func() { // ends with the server; see stop
		defer close(h.ended)
		err := srv.Serve(s)
		cancel()
		_ = h.people.Close()
		h.running.Wait()
		_ = srv.Stop(context.Background()) // if it has failed, the store is to be given up
		if err = cmp.Or(err, h.lost); err != nil {
			failed(fmt.Errorf("the server in %q has stopped: %w", dir.path, err))
		}
	}()

	return h, nil
}

// serving says whether this process still has the store.
func (h *host) serving() bool {
	select {
	case <-h.ended:
		return false
	default:
		return true
	}
}

// stop lets calls end, though not for long. Then another process can host: the sockets go before the store's lock does
// (E2).
func (h *host) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, farewell)
	defer cancel()
	_ = h.people.Close()
	err := h.server.Stop(ctx)
	<-h.ended

	return err
}

// keepPlace stops the server, and with it who holds something by it, when clients do not find it any more: somebody has
// removed the directory or what is in it, and who comes now begins anew. It returns when ctx ends.
func (h *host) keepPlace(ctx context.Context) {
	for clk := clock.Go(); clock.Pause(ctx, clk, placePeriod); {
		if !h.socket.inPlace() {
			h.lost = errors.New("its socket was removed: do not change the directory while it is in use")
			cut, cancel := context.WithCancel(ctx)
			cancel()
			_ = h.people.Close()
			_ = h.server.Stop(cut)

			return
		}
	}
}

// sweep removes lifelines that nobody needs, now and then until ctx ends.
func (h *host) sweep(ctx context.Context, lines *lifelines) {
	for clk := clock.Go(); clock.Pause(ctx, clk, sweepPeriod); {
		if err := lines.sweep(); err != nil {
			h.log.WarnContext(ctx, "cannot remove left-over lifelines", "error", err)
		}
	}
}
