//go:build unix

package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/store"
	"tenure/internal/store/logstore"
)

// notices collects the lines passed to Config.Notice. It is safe for concurrent use.
type notices struct {
	mu    sync.Mutex
	lines []string
}

func (n *notices) add(line string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, line)
}

func (n *notices) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()

	return append([]string(nil), n.lines...)
}

// open opens a Local until the test ends.
func open(t *testing.T, dir string) *Local {
	t.Helper()
	l, err := Open(t.Context(), Config{Dir: dir})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close(context.WithoutCancel(t.Context()))) })

	return l
}

func closed(t *testing.T, l *Local) {
	t.Helper()
	require.NoError(t, l.Close(t.Context()))
}

func dial(t *testing.T, l *Local) {
	t.Helper()
	conn, err := l.Dial(t.Context())
	require.NoError(t, err)
	requireSpeaks(t, conn)
	require.NoError(t, conn.Close())
}

// requireSpeaks requires that the connection yields what a gRPC server sends first: the header of an HTTP/2 SETTINGS
// frame, including its first byte.
func requireSpeaks(t *testing.T, conn net.Conn) {
	t.Helper()
	var head [9]byte
	n, err := conn.Read(head[:1])
	require.NoError(t, err)
	require.Equal(t, 1, n)
	for n < len(head) {
		more, err := conn.Read(head[n:])
		require.NoError(t, err)
		n += more
	}
	require.Equal(t, [3]byte{0, 4, 0}, [3]byte{head[0], head[3], head[4]})
}

// requireHost requires that the first Local is the host and that the others are not.
func requireHost(t *testing.T, host *Local, others ...*Local) {
	t.Helper()
	require.True(t, host.hosts())
	for _, l := range others {
		require.False(t, l.hosts())
	}
}

// requireFree requires that no process has the store open.
func requireFree(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, occupy(t, dir).Close())
}

// occupy opens the store without serving. It waits for the store to be free, since a process that another test starts
// inherits all open files and keeps them open until it executes its program.
func occupy(t *testing.T, dir string) (s store.Store) {
	t.Helper()
	var err error
	await(t, "the store is free", func() bool {
		s, err = logstore.Open(dir, logstore.Options{})

		return !errors.Is(err, store.ErrLocked)
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() }) // the test may have closed it already

	return s
}

// One Local is the host and all are its clients. When the host closes, the first one that dials becomes the host.
func TestLocal_HandsOver(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	a, b, c := open(t, dir), open(t, dir), open(t, dir)
	requireHost(t, a, b, c)
	dial(t, a)
	dial(t, b)
	dial(t, c)
	requireHost(t, a, b, c)

	closed(t, b) // b is not the host, so this does not affect the others
	dial(t, c)
	requireHost(t, a, c)

	closed(t, a)
	require.NoFileExists(t, filepath.Join(dir, socketName))
	d := open(t, dir)
	requireHost(t, d, c)
	dial(t, c)

	closed(t, d)
	dial(t, c)
	requireHost(t, c)
	closed(t, c)
	require.NoFileExists(t, filepath.Join(dir, socketName))
	require.NoFileExists(t, filepath.Join(dir, statusName))
	requireFree(t, dir)
}

// When the host closes, open connections end, so that their clients notice.
func TestLocal_CloseEndsConnections(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	a, b := open(t, dir), open(t, dir)
	conn, err := b.Dial(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	began := time.Now()
	closed(t, a)
	require.Less(t, time.Since(began), soon)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(soon)))
	for err == nil {
		_, err = conn.Read(make([]byte, 1024))
	}
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
}

// inParallel calls f concurrently for all elements and waits for the calls to return.
func inParallel[T any](all []T, f func(int, T)) {
	start := make(chan struct{})
	var calls sync.WaitGroup
	for i, v := range all {
		calls.Go(func() {
			<-start
			f(i, v)
		})
	}
	close(start)
	calls.Wait()
}

// When many clients start at the same time, one becomes the host and all get connections. The same happens each time
// the host closes.
func TestLocal_ManyStartTogether(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	all := make([]*Local, 16)
	inParallel(all, func(i int, _ *Local) {
		l, err := Open(t.Context(), Config{Dir: dir})
		if err != nil {
			t.Error(err)
		}
		all[i] = l
	})
	require.NotContains(t, all, (*Local)(nil))
	for len(all) > 1 {
		inParallel(all, func(_ int, l *Local) {
			conn, err := l.Dial(t.Context())
			if err == nil {
				err = conn.Close()
			}
			if err != nil {
				t.Error(err)
			}
		})
		host := -1
		for i, l := range all {
			if l.hosts() {
				require.Equal(t, -1, host, "there are two hosts")
				host = i
			}
		}
		require.NotEqual(t, -1, host)
		closed(t, all[host])
		all = append(all[:host], all[host+1:]...)
	}
	closed(t, all[0])
	requireFree(t, dir)
}

// Dial fails after Close, whether or not there is another host.
func TestLocal_Closed(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	a, b := open(t, dir), open(t, dir)
	closed(t, b)
	closed(t, b)
	_, err := b.Dial(t.Context())
	require.ErrorIs(t, err, errClosed, "there is another host")
	closed(t, a)
	closed(t, a)
	_, err = a.Dial(t.Context())
	require.ErrorIs(t, err, errClosed)
	requireFree(t, dir)
}

// fallSilent opens the store and creates a socket on which it never answers, like a host that is stopped.
func fallSilent(t *testing.T, dir string) {
	t.Helper()
	occupy(t, dir)
	s, err := openedDir(t, dir).listen(socketName)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
}

// Close ends waiting calls of Dial.
func TestLocal_CloseEndsDials(t *testing.T) {
	t.Parallel()
	for name, hinder := range map[string]func(*testing.T, string){
		"for a host that does not serve":  func(t *testing.T, dir string) { t.Helper(); occupy(t, dir) },
		"for a host that does not answer": fallSilent,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := stateDir(t)
			a, b := open(t, dir), open(t, dir)
			closed(t, a)
			hinder(t, dir)
			errs := make(chan error)
			for range 3 {
				go func() {
					_, err := b.Dial(t.Context())
					errs <- err
				}()
			}
			await(t, "a caller waits", func() bool {
				b.vigil.mu.Lock()
				defer b.vigil.mu.Unlock()

				return b.vigil.heed != nil
			})
			closed(t, b)
			for range 3 {
				require.ErrorIs(t, <-errs, errClosed)
			}
		})
	}
}

// If the context ends while Open waits for another process, the error names that process.
func TestLocal_GivesUp(t *testing.T) {
	t.Parallel()
	me := fmt.Sprintf("process %d on ", os.Getpid())
	for name, c := range map[string]struct {
		hinder func(*testing.T, string)
		want   []string
	}{
		"a host that does not serve": {
			func(t *testing.T, dir string) { t.Helper(); occupy(t, dir) },
			[]string{me, "does not serve it there", "tenure.Open"},
		},
		"a host that does not answer": {
			fallSilent, []string{me, "does not answer", fmt.Sprintf("kill -CONT %d", os.Getpid())},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := stateDir(t)
			b := open(t, dir)
			requireHost(t, b)
			closed(t, b)
			c.hinder(t, dir)
			ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("in a hurry"))
			defer cancel()
			_, err := Open(ctx, Config{Dir: dir})
			require.ErrorContains(t, err, "in a hurry: waiting for ")
			require.NotContains(t, err.Error(), "\n")
			for _, part := range append(c.want, dir) {
				require.ErrorContains(t, err, part)
			}
		})
	}
}

// If the context has already ended, the error does not mention other processes.
func TestOpen_ContextHasEnded(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Open(ctx, Config{Dir: dir})
	require.ErrorIs(t, err, context.Canceled)
	require.EqualError(t, err, fmt.Sprintf("state directory %q: context canceled", dir))
	requireFree(t, dir)
	l := open(t, dir)
	_, err = l.Dial(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.NotContains(t, err.Error(), "waiting")
}

// Open waits for a process that has the store but does not serve, and takes over when that process is gone.
func TestLocal_TakesOverWhenItCan(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	s := occupy(t, dir)
	opened := make(chan *Local)
	go func() {
		l, err := Open(t.Context(), Config{Dir: dir})
		if err != nil {
			t.Error(err)
		}
		opened <- l
	}()
	require.NoError(t, s.Close())
	l := <-opened
	requireHost(t, l)
	closed(t, l)
}

// The reason why a process cannot serve is an error of Open. Later it is a notice, given only once for all attempts.
func TestLocal_CannotServe(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	var told notices
	a := open(t, dir)
	b, err := Open(t.Context(), Config{Dir: dir, Notice: told.add})
	require.NoError(t, err)
	defer func() { closed(t, b) }()
	requireHost(t, a, b)
	require.Empty(t, told.all())

	closed(t, a)
	stamp := filepath.Join(dir, "VERSION")
	whole, err := os.ReadFile(stamp)
	require.NoError(t, err)
	acked := filepath.Join(dir, "ACKED")
	ledger, err := os.ReadFile(acked)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(acked, []byte("damaged"), 0o600))
	_, err = Open(t.Context(), Config{Dir: dir})
	require.ErrorIs(t, err, store.ErrDamaged)

	done := make(chan error)
	go func() {
		conn, err := b.Dial(t.Context())
		if err == nil {
			err = conn.Close()
		}
		done <- err
	}()
	await(t, "a notice", func() bool { return len(told.all()) > 0 })
	require.NoError(t, os.WriteFile(stamp, whole, 0o600))
	require.NoError(t, os.WriteFile(acked, ledger, 0o600))
	require.NoError(t, <-done)
	requireHost(t, b)
	require.Len(t, told.all(), 1)
	require.Contains(t, told.all()[0], "store is damaged")
}

// A host stops when its directory was removed. A new client cannot find it and starts a second host.
func TestLocal_DirectoryRemoved(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	var told notices
	l, err := Open(t.Context(), Config{Dir: dir, Notice: told.add})
	require.NoError(t, err)
	await(t, "the directory is gone", func() bool { return os.RemoveAll(dir) == nil }) // the host may make a file in it
	other := open(t, dir)
	requireHost(t, other)
	await(t, "the host stops", func() bool { return !l.hosts() })
	dial(t, l)
	requireHost(t, other, l)
	require.Len(t, told.all(), 1)
	require.Contains(t, told.all()[0], dir)
	require.Contains(t, told.all()[0], "its socket was removed")
	closed(t, l)
	dial(t, other)
}

// The default directory comes from the environment.
func TestOpen_Default(t *testing.T) {
	dir := stateDir(t)
	t.Setenv("TENURE_DIR", dir)
	l := open(t, "")
	require.Equal(t, dir, l.dir.path)
	requireHost(t, l)
}
