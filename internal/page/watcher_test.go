package page

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/access"
	"tenure/internal/bubbletest"
	"tenure/internal/clock"
	"tenure/server"
)

// counter is a server that counts how often its status is read.
type counter struct {
	reads      atomic.Int64
	semaphores int
	name       atomic.Value // of the only semaphore
}

func (c *counter) status(context.Context) (server.Status, error) {
	c.reads.Add(1)
	if c.semaphores > 0 {
		return oneNode(make([]server.SemaphoreStatus, c.semaphores)...), nil
	}
	name, _ := c.name.Load().(string)

	return oneNode(lock(name, nil, nil)), nil
}

// viewer is a browser that keeps a stream of changes open.
type viewer struct {
	mu     sync.Mutex
	text   strings.Builder
	events int
	block  chan struct{} // nil: it reads
	header http.Header
}

func (v *viewer) Header() http.Header              { return v.header }
func (v *viewer) WriteHeader(int)                  {}
func (v *viewer) FlushError() error                { return nil }
func (v *viewer) SetReadDeadline(time.Time) error  { return nil }
func (v *viewer) SetWriteDeadline(time.Time) error { return nil }

func (v *viewer) Write(b []byte) (int, error) {
	if v.block != nil {
		<-v.block
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.events += strings.Count(string(b), "data: <div id=\"view\"")
	v.text.Write(b)

	return len(b), nil
}

func (v *viewer) seen() (events int, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()

	return v.events, v.text.String()
}

// watchPage opens a stream for the URL until the context ends.
func watchPage(ctx context.Context, wg *sync.WaitGroup, p *Page, url string, v *viewer) {
	mux := http.NewServeMux()
	p.Register(mux)
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	v.header = http.Header{}
	wg.Go(func() { mux.ServeHTTP(v, r) })
}

// The status is read once a second, however many viewers there are, and not at all without viewers.
func TestWatcher_Rate(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		var c counter
		p := (&fake{status: c.status}).page()
		defer p.Close()
		time.Sleep(time.Hour)
		require.Zero(t, c.reads.Load())

		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		viewers := make([]viewer, 100)
		for i := range viewers {
			watchPage(ctx, &wg, p, "/live/", &viewers[i])
		}
		time.Sleep(9500 * time.Millisecond)
		synctest.Wait()
		require.EqualValues(t, 10, c.reads.Load())
		get(t, p, "/")
		require.EqualValues(t, 10, c.reads.Load(), "a request without a stream shares the snapshot")
		for i := range viewers {
			events, text := viewers[i].seen()
			require.Equal(t, 1, events, "nothing has changed, so nothing is sent: %s", text)
		}

		cancel()
		wg.Wait()
		time.Sleep(time.Second)
		before := c.reads.Load()
		time.Sleep(time.Hour)
		require.Equal(t, before, c.reads.Load())
		last, _ := p.watcher.latest()
		require.Nil(t, last, "a snapshot that nobody looks at is forgotten")
		require.Empty(t, p.views.all)

		for range 50 { // reloads
			get(t, p, "/")
		}
		require.Equal(t, before+1, c.reads.Load())
	})
}

// The status of a large server is read every ten seconds.
func TestWatcher_Large(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		c := counter{semaphores: many + 1}
		p := (&fake{status: c.status}).page()
		defer p.Close()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		watchPage(ctx, &wg, p, "/live/", &viewer{})
		time.Sleep(59 * time.Second)
		require.EqualValues(t, 6, c.reads.Load())
		cancel()
		wg.Wait()
	})
}

// A change reaches those who look at it, and others get nothing.
func TestWatcher_Changes(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		var c counter
		c.name.Store("before")
		p := (&fake{status: c.status}).page()
		defer p.Close()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var list, search, other viewer
		watchPage(ctx, &wg, p, "/live/", &list)
		watchPage(ctx, &wg, p, "/live/?q=after", &search)
		watchPage(ctx, &wg, p, "/live/semaphore?node=/local/x&name=other", &other)
		time.Sleep(10 * time.Second)
		c.name.Store("after")
		time.Sleep(time.Second)
		synctest.Wait()
		events, text := list.seen()
		require.Equal(t, 2, events)
		require.Contains(t, text, "<bdi>after")
		events, text = search.seen()
		require.Equal(t, 2, events)
		require.Contains(t, text, "Nothing matches.")
		events, text = other.seen()
		require.Equal(t, 1, events)
		require.NotContains(t, text, "\ndata: \n\n")

		time.Sleep(time.Minute)
		synctest.Wait()
		_, text = other.seen()
		require.Contains(t, text, "\n:\n\n", "a heartbeat shows whether the viewer is still there")
		cancel()
		wg.Wait()
	})
}

// A viewer that does not read delays neither the others nor the server.
func TestWatcher_SlowViewer(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		var c counter
		c.name.Store("0")
		p := (&fake{status: c.status}).page()
		defer p.Close()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		slow, fast := viewer{block: make(chan struct{})}, viewer{}
		watchPage(ctx, &wg, p, "/live/", &slow)
		watchPage(ctx, &wg, p, "/live/", &fast)
		time.Sleep(time.Second / 2) // between two snapshots
		for i := range 10 {
			c.name.Store(string(rune('a' + i)))
			time.Sleep(time.Second)
		}
		synctest.Wait()
		events, _ := fast.seen()
		require.GreaterOrEqual(t, events, 10)
		close(slow.block)
		synctest.Wait()
		events, text := slow.seen()
		require.Equal(t, 1, events, "it gets the last state alone")
		require.Contains(t, text, "<bdi>j")
		cancel()
		wg.Wait()
	})
}

// There is a limit of viewers, and their places become free again. Close ends their streams.
func TestWatcher_TooMany(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		var c counter
		p := (&fake{status: c.status}).page()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var wg, first sync.WaitGroup
		gone, leave := context.WithCancel(ctx)
		watchPage(gone, &first, p, "/live/", &viewer{})
		for range maxViewers - 1 {
			watchPage(ctx, &wg, p, "/live/", &viewer{})
		}
		synctest.Wait()
		code, body := get(t, p, "/live/")
		require.Equal(t, 503, code)
		require.Contains(t, body, "too many viewers")
		code, _ = get(t, p, "/")
		require.Equal(t, 200, code, "the page itself works")
		leave()
		first.Wait()
		var late viewer
		watchPage(ctx, &wg, p, "/live/", &late)
		synctest.Wait()
		require.Equal(t, maxViewers, p.watcher.viewers)
		p.Close()
		wg.Wait()
	})
}

// One user does not take the places of all viewers.
func TestWatcher_TooManyOfOne(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		var c counter
		var name atomic.Value
		name.Store("ann")
		p := (&fake{status: c.status, caller: func(string) (string, access.Rights, error) {
			return name.Load().(string), access.View, nil
		}}).page()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range maxViewersOf {
			watchPage(ctx, &wg, p, "/live/", &viewer{})
		}
		synctest.Wait()
		code, _ := get(t, p, "/live/")
		require.Equal(t, 503, code)
		name.Store("bob")
		watchPage(ctx, &wg, p, "/live/", &viewer{})
		synctest.Wait()
		require.Equal(t, maxViewersOf+1, p.watcher.viewers)
		cancel()
		wg.Wait()
		require.Empty(t, p.watcher.of)
		p.Close()
	})
}

// A node that does not answer holds up nobody for long: the rest is shown without it.
func TestWatcher_StuckNode(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		p := (&fake{status: func(ctx context.Context) (server.Status, error) {
			<-ctx.Done()

			return server.Status{}, context.Cause(ctx)
		}}).page()
		defer p.Close()
		began := time.Now()
		code, body := get(t, p, "/")
		require.Equal(t, 200, code)
		require.Contains(t, body, "The semaphores cannot be shown")
		require.Equal(t, statusLimit, time.Since(began))
	})
}

// The stream of a caller ends when the caller's rights change.
func TestLive_Withdrawn(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		var c counter
		var rights atomic.Int64
		rights.Store(int64(access.Full))
		p := (&fake{status: c.status, caller: func(string) (string, access.Rights, error) {
			if r := access.Rights(rights.Load()); r != 0 {
				return "ann", r, nil
			}

			return "", 0, &access.DeniedError{}
		}}).page()
		defer p.Close()
		for _, after := range []access.Rights{access.View, access.List, 0} {
			var wg sync.WaitGroup
			watchPage(t.Context(), &wg, p, "/live/", &viewer{})
			time.Sleep(5 * time.Second)
			rights.Store(int64(after))
			wg.Wait() // otherwise the bubble is deadlocked
		}
	})
}

// A log-in ends after twelve hours. There is a limit of log-ins, for each user and for all.
func TestLogins(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		l := newLogins(clock.Go())
		first := l.add("ann", "t1")
		require.Equal(t, "t1", l.token(first))
		require.Empty(t, l.token(first+"x"))
		require.Empty(t, l.token(""))
		time.Sleep(time.Minute)
		second := l.add("ann", "t2")
		for range maxLogins {
			require.NotEqual(t, second, l.add("bob", "t3"))
		}
		require.Equal(t, "t1", l.token(first), "a user ends the log-ins of nobody else")
		require.Len(t, l.all, 2+maxLoginsOf)
		for range maxLoginsOf - 1 {
			l.add("ann", "t4")
		}
		require.Empty(t, l.token(first))
		require.Equal(t, "t2", l.token(second))
		for i := range maxLogins {
			l.add(fmt.Sprint(i), "t5")
		}
		require.Len(t, l.all, maxLogins)
		l.remove(second)
		require.Empty(t, l.token(second))
		third := l.add("ann", "t6")
		time.Sleep(loginLifetime)
		require.Empty(t, l.token(third))
	})
}
