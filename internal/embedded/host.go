package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"tenure/internal/clock"
	"tenure/server"
)

// farewell is how long a host that stops in order waits for clients to hear of it: who does not is perhaps stopped, and
// the others shall not wait for it.
const farewell = 200 * time.Millisecond

// sweepPeriod is the time between two looks for lifelines that nobody needs.
const sweepPeriod = time.Minute

// host is the server in this process.
type host struct {
	server *server.Server
	ended  chan struct{} // closed when another process can host
}

// newHost opens the store, which one process at a time can (E1), and serves until stop is called or the store fails,
// which failed is told.
func newHost(dir *directory, log *slog.Logger, failed func(error)) (*host, error) {
	lines := &lifelines{dir: dir.path}
	srv, err := server.New(server.WithDataDir(dir.path), server.WithLifelines(lines), server.WithLogger(log))
	if err != nil {
		return nil, err
	}
	lis, err := dir.listen(socketName)
	if err != nil {
		return nil, errors.Join(err, srv.Stop(context.Background()))
	}

	h := &host{server: srv, ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	var running errgroup.Group
	running.Go(func() error { return lines.sweepNowAndThen(ctx, log) })
	go func() { // ends with the server; see stop
		defer close(h.ended)
		err := srv.Serve(lis)
		cancel()
		_ = running.Wait()
		_ = srv.Stop(context.Background()) // if it has failed, the store is to be given up
		if err != nil {
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
	err := h.server.Stop(ctx)
	<-h.ended

	return err
}

// sweepNowAndThen removes lifelines that nobody needs, until ctx ends.
func (l *lifelines) sweepNowAndThen(ctx context.Context, log *slog.Logger) error {
	for clk := clock.Go(); clock.Pause(ctx, clk, sweepPeriod); {
		if err := l.sweep(); err != nil {
			log.WarnContext(ctx, "left-over lifelines stay", "error", err)
		}
	}

	return nil
}
