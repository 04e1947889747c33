package conformance_test

import (
	"context"
	"flag"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/balancers"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"
	"go.uber.org/goleak"

	"tenure"
	"tenure/server"
	"tenure/tenuretest"
)

const (
	node = "/local/test"

	// limit is the time limit of each test. Every wait in a passing test is much shorter, except on a busy machine.
	limit = 2 * time.Minute

	// outliving is the timeout of sessions that must not expire during a test.
	outliving = 2 * limit

	// brief is the timeout of sessions whose end a test waits for. The machine may pause for a second before that.
	brief = 4 * time.Second
)

// parallel is the number of tests that run at the same time. They mostly wait.
const parallel = 8

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(parallel)); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

func TestClients(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]implementation{
		"tenure": {open: func(t *testing.T, dsn string, opts ...ydb.Option) coordination.Client {
			t.Helper()

			c := tenure.New(openDriver(t, dsn, opts...))
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Second)
				defer cancel()
				_ = c.Close(ctx) // fails in tests that cut the client off for good
			})

			return c
		}},
		"ydb-go-sdk": {official: true, open: func(t *testing.T, dsn string, opts ...ydb.Option) coordination.Client {
			t.Helper()

			return openDriver(t, dsn, opts...).Coordination()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, c)
		})
		t.Run(name+" over TLS with a token", func(t *testing.T) {
			t.Parallel()
			over := c
			over.secret = newSecret(t)
			run(t, over)
		})
		t.Run(name+" through another server", func(t *testing.T) {
			t.Parallel()
			through := c
			through.serve, through.secret = newPair, newSecret(t)
			run(t, through)
		})
	}
}

// implementation is an implementation of coordination.Client, which the suite tests.
type implementation struct {
	open     opener
	official bool    // has known faults: see faulty
	secret   *secret // nil: in clear text, and without users

	// serve starts a server; nil: a tenuretest.Server. With newPair, clients are connected to another server than the one
	// that serves the node.
	serve func(t *testing.T, opts ...server.Option) service
}

// An opener returns a client of the server at the DSN. The client is closed when the test ends.
type opener func(t *testing.T, dsn string, opts ...ydb.Option) coordination.Client

// run runs the suite on an implementation of coordination.Client.
func run(t *testing.T, c implementation) {
	t.Helper()
	for name, test := range map[string]func(*suite){
		"node: described as given":       (*suite).nodeDescribedAsGiven,
		"node: altered where set":        (*suite).nodeAlteredWhereSet,
		"node: refusals":                 (*suite).nodeRefusals,
		"node: drop takes all":           (*suite).nodeDropTakesAll,
		"session: options":               (*suite).sessionOptions,
		"session: outlives the call":     (*suite).sessionOutlivesCall,
		"session: missing node":          (*suite).sessionOnMissingNode,
		"session: close":                 (*suite).sessionClose,
		"session: reconnect":             (*suite).sessionReconnect,
		"session: expires when cut off":  func(s *suite) { s.sessionExpires((*relay).Cut) },
		"session: expires in silence":    func(s *suite) { s.sessionExpires((*relay).Silence) },
		"session: survives a cut":        func(s *suite) { s.sessionSurvives(service.DropStreams) },
		"session: survives a restart":    func(s *suite) { s.sessionSurvives(service.Restart) },
		"session: survives a crash":      func(s *suite) { s.sessionSurvives(crash) },
		"session: grace after a restart": (*suite).sessionGrace,
		"acquire: exclusive":             (*suite).acquireExclusive,
		"acquire: shared":                (*suite).acquireShared,
		"acquire: counts":                (*suite).acquireCounts,
		"acquire: timeout":               (*suite).acquireTimeout,
		"acquire: context ends":          (*suite).acquireContextEnds,
		"acquire: again as owner":        (*suite).acquireAgainAsOwner,
		"acquire: again while waiting":   (*suite).acquireAgainWhileWaiting,
		"acquire: ephemeral":             (*suite).acquireEphemeral,
		"acquire: refusals":              (*suite).acquireRefusals,
		"acquire: one at a time":         (*suite).acquireOneAtATime,
		"semaphore: life":                (*suite).semaphoreLife,
		"semaphore: create twice":        (*suite).semaphoreCreateTwice,
		"semaphore: delete in use":       (*suite).semaphoreDeleteInUse,
		"semaphore: big description":     (*suite).semaphoreBigDescription,
		"watch: data":                    (*suite).watchData,
		"watch: owners":                  (*suite).watchOwners,
		"watch: deleted":                 (*suite).watchDeleted,
		"watch: replaced":                (*suite).watchReplaced,
		"watch: lost":                    (*suite).watchLost,
		"watch: from its handler":        (*suite).watchFromHandler,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newSuite(t, c))
		})
	}
}

// suite is the state of one test of the suite.
type suite struct {
	*testing.T
	ctx    context.Context // for all calls; ends at the limit
	server service
	client coordination.Client // connected to server, which has a node
	implementation
}

// faulty reports whether the test must tolerate a known fault of the official client. If so, it logs the fault.
func (s *suite) faulty(fault string) bool {
	s.Helper()
	if s.official {
		s.Log("known fault of ydb-go-sdk: " + fault)
	}

	return s.official
}

// swallowed is the fault behind most calls of faulty.
const swallowed = "the client ignores the status of a result"

// requireStatus requires that err is an operation error with this status.
func (s *suite) requireStatus(err error, status Ydb.StatusIds_StatusCode) {
	s.Helper()
	if !s.faulty(swallowed) {
		require.True(s, ydb.IsOperationError(err, status), "%v", err)
	}
}

func newSuite(t *testing.T, c implementation) *suite {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	s := &suite{T: t, ctx: ctx, implementation: c}
	if c.serve == nil {
		s.server = tenuretest.NewServer(t, c.secret.server()...)
	} else {
		s.server = c.serve(t, c.secret.server()...)
	}
	s.client = s.connect(s.server.DSN())
	require.NoError(t, s.client.CreateNode(ctx, node, coordination.NodeConfig{}))
	if p, ok := s.server.(*pair); ok {
		require.NoError(t, s.session().Close(ctx))
		if p.forward() {
			s.client = s.connect(s.server.DSN())
		}
	}

	return s
}

// connect returns another client of the server, at the DSN.
func (s *suite) connect(dsn string) coordination.Client {
	s.Helper()

	opts := s.secret.driver()
	if s.serve != nil {
		opts = append(opts, ydb.WithBalancer(balancers.SingleConn())) // otherwise the driver chooses among the servers
	}

	return s.open(s.T, dsn, opts...)
}

// openDriver opens the driver of ydb-go-sdk. The dial timeout is short because Close waits for a dial in progress.
func openDriver(t *testing.T, dsn string, opts ...ydb.Option) *ydb.Driver {
	t.Helper()
	opts = append([]ydb.Option{ydb.WithAnonymousCredentials(), ydb.WithDialTimeout(3 * time.Second)}, opts...)
	db, err := ydb.Open(t.Context(), dsn, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close(context.WithoutCancel(t.Context()))) })

	return db
}

func crash(srv service) {
	srv.Kill()
	srv.Restart()
}

// session starts a session that does not expire during the test, unless the options set a shorter timeout.
func (s *suite) session(opts ...options.SessionOption) coordination.Session {
	s.Helper()

	return s.sessionOf(s.client, opts...)
}

func (s *suite) sessionOf(c coordination.Client, opts ...options.SessionOption) coordination.Session {
	s.Helper()
	opts = append([]options.SessionOption{
		options.WithSessionTimeout(outliving), options.WithSessionReconnectDelay(10 * time.Millisecond),
	}, opts...)
	session, err := c.Session(s.ctx, node, opts...)
	require.NoError(s, err)

	return session
}

// semaphore creates a semaphore.
func (s *suite) semaphore(by coordination.Session, name string, limit uint64) {
	s.Helper()
	require.NoError(s, by.CreateSemaphore(s.ctx, name, limit))
}

// acquire acquires a semaphore that is available, without waiting.
func (s *suite) acquire(
	by coordination.Session, name string, count uint64, opts ...options.AcquireSemaphoreOption,
) coordination.Lease {
	s.Helper()
	lease, err := by.AcquireSemaphore(s.ctx, name, count, append(opts, options.WithAcquireTimeout(0))...)
	require.NoError(s, err)
	require.NoError(s, lease.Context().Err())

	return lease
}

func (s *suite) release(lease coordination.Lease) {
	s.Helper()
	require.NoError(s, lease.Release())
	require.Error(s, lease.Context().Err())
}

// acquired holds the results of an acquire.
type acquired struct {
	lease coordination.Lease
	err   error
}

// queue starts an acquire and returns when it waits in the queue. The channel receives the results of the acquire.
func (s *suite) queue(
	by coordination.Session, name string, count uint64, opts ...options.AcquireSemaphoreOption,
) <-chan acquired {
	s.Helper()

	return s.queueUnder(s.ctx, by, name, count, opts...)
}

func (s *suite) queueUnder(
	ctx context.Context, by coordination.Session, name string, count uint64, opts ...options.AcquireSemaphoreOption,
) <-chan acquired {
	s.Helper()
	done := make(chan acquired, 1)
	go func() { // ends with ctx at the latest
		lease, err := by.AcquireSemaphore(ctx, name, count, opts...)
		done <- acquired{lease, err}
	}()
	s.until(func() bool { return s.waits(by, name) })

	return done
}

// waits reports whether the session is in the semaphore's queue.
func (s *suite) waits(session coordination.Session, name string) bool {
	s.Helper()
	for _, w := range s.describe(session, name).Waiters {
		if w.SessionID == session.SessionID() {
			return true
		}
	}

	return false
}

// granted waits until a queued acquire succeeds, and returns its lease.
func (s *suite) granted(done <-chan acquired) coordination.Lease {
	s.Helper()
	got := receive(s, done)
	require.NoError(s, got.err)
	require.NoError(s, got.lease.Context().Err())

	return got.lease
}

// describe returns the description of a semaphore with its owners and waiters.
func (s *suite) describe(by coordination.Session, name string) *coordination.SemaphoreDescription {
	s.Helper()
	d, err := by.DescribeSemaphore(s.ctx, name, options.WithDescribeOwners(true), options.WithDescribeWaiters(true))
	require.NoError(s, err)

	return d
}

// until polls until the condition is true. Use it only if there is nothing to wait on.
func (s *suite) until(condition func() bool) {
	s.Helper()
	for !condition() {
		require.NoError(s, s.ctx.Err(), "timed out waiting for the condition")
		time.Sleep(10 * time.Millisecond) // a description may be large
	}
}

// ends waits for the end of a session or lease.
func (s *suite) ends(ctx context.Context) {
	s.Helper()
	receive(s, ctx.Done())
}

// receive waits until the channel delivers a value or is closed.
func receive[T any](s *suite, from <-chan T) T {
	s.Helper()
	var zero T
	select {
	case v := <-from:
		return v
	case <-s.ctx.Done():
		require.NoError(s, s.ctx.Err(), "timed out waiting for the channel")

		return zero
	}
}

// idsOf returns the ids of sessions.
func idsOf(sessions ...coordination.Session) []uint64 {
	var ids []uint64
	for _, s := range sessions {
		ids = append(ids, s.SessionID())
	}

	return ids
}

// linked returns the session ids of owners or waiters.
func linked(links []*coordination.SemaphoreSession) []uint64 {
	var ids []uint64
	for _, l := range links {
		ids = append(ids, l.SessionID)
	}

	return ids
}
