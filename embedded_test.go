package tenure_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
	"tenure/internal/embedded"
	"tenure/internal/store"
	"tenure/internal/store/logstore"
	"tenure/tenuretest"
)

// soon is the longest time that these tests wait for anything.
const soon = time.Minute

// newClient opens a client, creates the tests' node and closes the client at the end of the test.
func newClient(t *testing.T, dsn string, opts ...tenure.Option) *tenure.Client {
	t.Helper()
	c, err := tenure.Open(t.Context(), dsn, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	require.NoError(t, c.CreateNode(t.Context(), path, coordination.NodeConfig{}))

	return c
}

func closeClient(t *testing.T, c *tenure.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), soon)
	defer cancel()
	require.NoError(t, c.Close(ctx))
}

// stateDir returns the name of a state directory that does not exist yet.
func stateDir(t *testing.T) string {
	t.Helper()

	return filepath.Join(t.TempDir(), "state")
}

// waiter receives the lease of a waiting acquire.
type waiter chan *tenure.Lease

func waitFor(t *testing.T, s *tenure.Session, name string) waiter {
	t.Helper()
	w := make(waiter, 1)
	go func() {
		l, err := s.AcquireSemaphore(s.Context(), name, coordination.Exclusive, options.WithEphemeral(true))
		if err != nil {
			t.Error(err)
			close(w)

			return
		}
		w <- l.(*tenure.Lease)
	}()
	await(t, "the session is in the queue", func() bool {
		d, err := s.DescribeSemaphore(t.Context(), name, options.WithDescribeWaiters(true))
		require.NoError(t, err)

		return slices.ContainsFunc(d.Waiters, func(w *coordination.SemaphoreSession) bool {
			return w.SessionID == s.SessionID()
		})
	})

	return w
}

func (w waiter) granted(t *testing.T) *tenure.Lease {
	t.Helper()
	select {
	case l := <-w:
		require.NotNil(t, l)

		return l
	case <-time.After(soon):
		require.FailNow(t, "the waiter was not granted the lease")

		return nil
	}
}

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, soon, time.Millisecond, what)
}

func token(t *testing.T, l *tenure.Lease) uint64 {
	t.Helper()
	token, err := l.Token(t.Context())
	require.NoError(t, err)

	return token
}

// The same program works with the embedded server and with a remote one. Only the DSN differs.
func TestEmbedded_LikeAnyServer(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T) (string, []tenure.Option){
		"embedded": func(t *testing.T) (string, []tenure.Option) {
			t.Helper()

			return tenure.Embedded, []tenure.Option{tenure.WithDir(stateDir(t))}
		},
		"remote": func(t *testing.T) (string, []tenure.Option) {
			t.Helper()

			return tenuretest.NewServer(t).DSN(), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			dsn, opts := prepare(t)
			const clients = 4
			var sessions [clients]*tenure.Session
			for i := range sessions {
				sessions[i] = session(t, newClient(t, dsn, opts...))
			}

			held := acquire(t, sessions[0], "job")
			last := token(t, held)
			for _, s := range sessions[1:] {
				next := waitFor(t, s, "job")
				require.NoError(t, held.Release())
				held = next.granted(t)
				require.Greater(t, token(t, held), last)
				last = token(t, held)
			}

			_, err := sessions[0].AcquireSemaphore(t.Context(), "job", 1, options.WithEphemeral(true),
				options.WithAcquireTimeout(0))
			require.ErrorIs(t, err, coordination.ErrAcquireTimeout)
			require.NoError(t, sessions[0].CreateSemaphore(t.Context(), "data", 1, options.WithCreateData([]byte("x"))))
			d, err := sessions[1].DescribeSemaphore(t.Context(), "data")
			require.NoError(t, err)
			require.Equal(t, []byte("x"), d.Data)
			next := waitFor(t, sessions[0], "job")
			require.NoError(t, sessions[clients-1].Close(t.Context()))
			require.ErrorIs(t, context.Cause(held.Context()), tenure.ErrSessionClosed)
			next.granted(t)
		})
	}
}

// When the host exits, no lock is lost: owners keep their leases, and waiters keep their places in the queue.
func TestEmbedded_HostExits(t *testing.T) {
	dir := tenure.WithDir(stateDir(t))
	host := newClient(t, tenure.Embedded, dir)
	holder := session(t, newClient(t, tenure.Embedded, dir))
	held := acquire(t, holder, "job")
	before := token(t, held)
	var waiters []waiter
	var left []*tenure.Client
	for range 3 {
		c := newClient(t, tenure.Embedded, dir)
		left = append(left, c)
		waiters = append(waiters, waitFor(t, session(t, c), "job"))
	}
	bystander := newClient(t, tenure.Embedded, dir)
	for range 3 { // the next host is the bystander, or one of the clients that stay open
		closeClient(t, host)
		d, err := holder.DescribeSemaphore(t.Context(), "job", options.WithDescribeOwners(true),
			options.WithDescribeWaiters(true))
		require.NoError(t, err)
		require.Len(t, d.Owners, 1)
		require.Equal(t, holder.SessionID(), d.Owners[0].SessionID)
		require.Equal(t, before, d.Owners[0].OrderID)
		require.Len(t, d.Waiters, len(waiters))
		require.NoError(t, held.Context().Err())
		require.True(t, held.Valid())
		host, bystander = bystander, newClient(t, tenure.Embedded, dir)
	}
	for i, w := range waiters {
		require.NoError(t, held.Release())
		held = w.granted(t)
		require.Greater(t, token(t, held), before)
		before = token(t, held)
		if i+1 < len(waiters) {
			require.Empty(t, waiters[i+1], "it is behind in the queue")
		}
	}
	for _, c := range left {
		closeClient(t, c)
	}
	require.ErrorIs(t, context.Cause(held.Context()), tenure.ErrSessionClosed)
}

// occupy opens the store without serving it, as a process that hangs would.
func occupy(t *testing.T, dir string) store.Store {
	t.Helper()
	s, err := logstore.Open(dir, logstore.Options{})
	require.NoError(t, err)

	return s
}

// If Open has to wait, it reports after a while what it waits for. It continues when it can, or returns when its
// context ends.
func TestEmbedded_Notice(t *testing.T) {
	dir := stateDir(t)
	occupied := occupy(t, dir)
	notices := make(chan string, 10)
	opened := make(chan *tenure.Client)
	go func() {
		c, err := tenure.Open(t.Context(), tenure.Embedded, tenure.WithDir(dir),
			tenure.WithNotice(func(line string) { notices <- line }))
		if err != nil {
			t.Error(err)
		}
		opened <- c
	}()
	line := <-notices
	require.Contains(t, line, "waiting for process ")
	require.Contains(t, line, dir)

	ctx, cancel := context.WithCancel(t.Context())
	go cancel()
	_, err := tenure.Open(ctx, tenure.Embedded, tenure.WithDir(dir))
	require.ErrorIs(t, err, context.Canceled)

	require.NoError(t, occupied.Close())
	closeClient(t, <-opened)
	require.Empty(t, notices)
}

// Open returns an error if the state directory or the store cannot be used.
func TestEmbedded_CannotOpen(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755)) //nolint:gosec // the permissions are the fault under test
	_, err := tenure.Open(t.Context(), tenure.Embedded, tenure.WithDir(dir))
	require.ErrorContains(t, err, "chmod 700 "+dir)
	dir = stateDir(t)
	require.NoError(t, occupy(t, dir).Close())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ACKED"), []byte("damaged"), 0o600))
	_, err = tenure.Open(t.Context(), tenure.Embedded, tenure.WithDir(dir))
	require.ErrorIs(t, err, store.ErrDamaged)
}

// lifelines returns the files that tell a host which sessions are alive.
func lifelines(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "lifelines", "*"))
	require.NoError(t, err)

	return names
}

// A session has a lifeline from its start to its end.
func TestEmbedded_Lifelines(t *testing.T) {
	dir := stateDir(t)
	c := newClient(t, tenure.Embedded, tenure.WithDir(dir))
	require.Empty(t, lifelines(t, dir))
	a, b := session(t, c), session(t, c)
	require.Len(t, lifelines(t, dir), 2)
	require.NoError(t, a.Close(t.Context()))
	require.Len(t, lifelines(t, dir), 1)
	require.NoError(t, b.Close(t.Context()))
	require.Empty(t, lifelines(t, dir))

	// Session does not wait for the timeout of a session that was not started.
	_, err := c.Session(t.Context(), "/local/none", options.WithSessionTimeout(time.Hour/2))
	require.Error(t, err)
	require.Empty(t, lifelines(t, dir))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Session(ctx, path)
	require.ErrorIs(t, err, context.Canceled)
	for _, left := range lifelines(t, dir) { // the server may have the session, and must see that its lifeline is cut
		lock := flock.New(left)
		await(t, "the lifeline is cut", func() bool {
			cut, err := lock.TryLock()
			require.NoError(t, err)

			return cut
		})
		require.NoError(t, errors.Join(os.Remove(left), lock.Close()))
	}

	session(t, c)
	closeClient(t, c)
	require.Empty(t, lifelines(t, dir))
	_, err = c.Session(t.Context(), path)
	require.Error(t, err)
	require.Empty(t, lifelines(t, dir))
}

// Without a lifeline a session is not started, because the server would have only the timeout to notice that its
// process has died.
func TestEmbedded_NoSessionWithoutLifeline(t *testing.T) {
	dir := stateDir(t)
	c := newClient(t, tenure.Embedded, tenure.WithDir(dir))
	require.NoError(t, os.Remove(filepath.Join(dir, "lifelines")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "lifelines"), nil, 0o600))
	_, err := c.Session(t.Context(), path)
	require.ErrorContains(t, err, "open session on node \"/local/test\": make lifeline: state directory")
	require.NoError(t, os.Remove(filepath.Join(dir, "lifelines")))

	s := session(t, c)
	require.EqualValues(t, 1, s.SessionID(), "the failed call has not started a session")
}

// lose makes the server end a session.
func lose(t *testing.T, c *tenure.Client, s *tenure.Session) {
	t.Helper()
	require.NoError(t, c.DropNode(t.Context(), path))
	<-s.Context().Done()
	require.NotErrorIs(t, context.Cause(s.Context()), tenure.ErrSessionClosed)
}

// A lost session keeps its lifeline while the program may still be working under it, which is until Close.
func TestEmbedded_LostSession(t *testing.T) {
	dir := stateDir(t)
	c := newClient(t, tenure.Embedded, tenure.WithDir(dir))
	s := session(t, c, options.WithSessionTimeout(time.Hour/2))
	lose(t, c, s)
	require.Len(t, lifelines(t, dir), 1)
	require.NoError(t, c.CreateNode(t.Context(), path, coordination.NodeConfig{}))
	other := session(t, c)
	require.Len(t, lifelines(t, dir), 2)
	require.NoError(t, other.Close(t.Context()))
	require.Len(t, lifelines(t, dir), 1)
	require.NoError(t, s.Close(t.Context()))
	require.Empty(t, lifelines(t, dir))

	require.NoError(t, c.CreateNode(t.Context(), path, coordination.NodeConfig{}))
	lose(t, c, session(t, c, options.WithSessionTimeout(time.Hour/2)))
	closeClient(t, c)
	require.Empty(t, lifelines(t, dir))
}

// If the program does not call Close, the lifeline of a lost session ends after the session timeout.
func TestEmbedded_LostSessionTimesOut(t *testing.T) {
	dir := stateDir(t)
	c := newClient(t, tenure.Embedded, tenure.WithDir(dir))
	const timeout = 300 * time.Millisecond
	s := session(t, c, options.WithSessionTimeout(timeout))
	before := time.Now()
	lose(t, c, s)
	await(t, "the lifeline ends", func() bool { return len(lifelines(t, dir)) == 0 })
	require.GreaterOrEqual(t, time.Since(before), timeout)
}

// Inherit passes the lifeline to a command if there is one.
func TestEmbedded_Inherit(t *testing.T) {
	dir := stateDir(t)
	s := session(t, newClient(t, tenure.Embedded, tenure.WithDir(dir)))
	cmd := exec.CommandContext(t.Context(), "readlink", "/proc/self/fd/3")
	s.Inherit(cmd)
	require.Len(t, cmd.ExtraFiles, 1)
	require.Equal(t, lifelines(t, dir)[0], cmd.ExtraFiles[0].Name())

	s = session(t, newClient(t, tenuretest.NewServer(t).DSN()))
	s.Inherit(cmd)
	require.Len(t, cmd.ExtraFiles, 1)
}

// descriptors returns the targets of this process's open file descriptors.
func descriptors(t *testing.T) []string {
	t.Helper()
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Skipf("cannot list the open file descriptors: %v", err)
	}
	var open []string
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil { // fails for the descriptor of dir itself
			open = append(open, to)
		}
	}
	slices.Sort(open)

	return open
}

// A closed client leaves no file descriptors, lifelines or sockets behind, whether or not it was the host. TestMain
// checks for goroutines.
func TestEmbedded_CloseLeavesNothing(t *testing.T) {
	live := func() {
		dir := stateDir(t)
		var clients [3]*tenure.Client
		for i := range clients {
			clients[i] = newClient(t, tenure.Embedded, tenure.WithDir(dir))
			acquire(t, session(t, clients[i]), string(rune('a'+i)))
		}
		lose(t, clients[1], session(t, clients[1], options.WithSessionTimeout(time.Hour/2)))
		for _, c := range clients {
			closeClient(t, c)
			closeClient(t, c)
		}
		require.Empty(t, lifelines(t, dir))
		requireUnused(t, dir)
	}
	live() // the process keeps some descriptors that it opens only once
	before := descriptors(t)
	live()
	require.Equal(t, before, descriptors(t))
}

// requireUnused requires that no process has the store or a socket of the directory.
func requireUnused(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, occupy(t, dir).Close())
	require.NoFileExists(t, filepath.Join(dir, "socket"))
	require.NoFileExists(t, filepath.Join(dir, "status"))
}

// Many clients that open at the same time all get the lock in turn, and never two of them at the same time.
func TestEmbedded_ManyClients(t *testing.T) {
	dir := stateDir(t)
	var working, turns atomic.Int64
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			c, err := tenure.Open(t.Context(), tenure.Embedded, tenure.WithDir(dir))
			if err != nil {
				t.Error(err)

				return
			}
			defer func() { _ = c.Close(t.Context()) }() // the others lose their server if this client hosts it
			if err := c.CreateNode(t.Context(), path, coordination.NodeConfig{}); err != nil {
				t.Error(err)
			}
			s, err := c.Session(t.Context(), path)
			if err != nil {
				t.Error(err)

				return
			}
			for range 5 {
				l, err := s.AcquireSemaphore(t.Context(), "job", 1, options.WithEphemeral(true))
				if err != nil {
					t.Error(err)

					return
				}
				if working.Add(1) != 1 {
					t.Error("two clients hold the lock")
				}
				turns.Add(1)
				working.Add(-1)
				if err := l.Release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	clients.Wait()
	require.EqualValues(t, 8*5, turns.Load())
	requireUnused(t, dir)
	report, err := embedded.ReadReport(t.Context(), embedded.Config{Dir: dir})
	require.NoError(t, err)
	require.Nil(t, report.Host)
}
