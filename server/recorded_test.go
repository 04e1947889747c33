package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Auth_V1"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Scheme_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Auth"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Scheme"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tenure/internal/audit"
	"tenure/internal/bubbletest"
	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/serverconfig"
)

// paper is what an audit log is written on. It may be full.
type paper struct {
	mu   sync.Mutex // guards the rest
	text bytes.Buffer
	full bool
}

var errPaper = errors.New("no space left on device")

func (p *paper) Write(lines []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.full {
		return 0, errPaper
	}

	return p.text.Write(lines)
}

func (p *paper) fill(full bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.full = full
}

// kinds returns the kinds of the lines since the last call.
func (p *paper) kinds(t *testing.T) (kinds []audit.Kind) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for line := range strings.Lines(p.text.String()) {
		var e audit.Event
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		kinds = append(kinds, e.Kind)
	}
	p.text.Reset()

	return kinds
}

// recording is a server with an audit log that is required.
type recording struct {
	*harness
	log     *audit.Log
	paper   paper
	admin   serverconfig.Admin
	session uint64 // for tests that need one
}

// record starts a server with a node, and with users unless they are nil.
func record(t *testing.T, u *users) *recording {
	t.Helper()
	r := &recording{admin: serverconfig.Admin{Count: true}}
	log, err := audit.Open(audit.Config{Writer: &r.paper, Required: true, Clock: clock.Go()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, log.Close()) })
	r.log = log
	options := func(c *serverconfig.Config) { c.Audit, c.Admin = log, &r.admin }
	if u == nil {
		r.harness = serve(t, options)
	} else {
		r.harness = serveUsers(t, u, options)
	}

	return r
}

// later returns what f returns, when it returns. If f fails the test, that is a zero value.
func later[T any](f func() T) <-chan T {
	c := make(chan T, 1)
	go func() {
		defer close(c)
		c <- f()
	}()

	return c
}

// While the audit log cannot be written, a grant is not answered, and the server is not ready. Nodes without events
// work, and so do pings.
func TestServer_AnswersWhenTheAuditLogHasTheLine(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		r := record(t, nil)
		_, err := r.client.CreateNode(t.Context(), &pb.CreateNodeRequest{Path: "/local/quiet"})
		require.NoError(t, err)
		s := r.attach(t, 0, time.Minute)
		other := r.open(t)
		other.start(startMessage("/local/quiet", 0, time.Minute))
		require.Equal(t, []audit.Kind{audit.Start, audit.NodeCreate, audit.NodeCreate}, r.paper.kinds(t))

		r.paper.fill(true)
		s.send(acquireMessage(1, "job", forever))
		answer := later(s.recv)
		synctest.Wait()
		require.EqualError(t, r.admin.Ready(),
			"the audit log cannot be written, and answers wait for it: no space left on device")
		described := later(other.recv)
		time.Sleep(5 * time.Minute) // both streams would have ended if their pings had not been answered
		other.send(describeMessage(1, "job"))
		require.NotNil(t, (<-described).GetDescribeSemaphoreResult())
		require.NoError(t, r.admin.Live())
		require.Equal(t, node.Sizes{Sessions: 1, Attached: 1, Semaphores: 1, Owners: 1},
			r.admin.Stats(t.Context()).Nodes[1].Sizes, "metrics show what waits")
		require.Empty(t, answer)

		r.paper.fill(false)
		require.True(t, (<-answer).GetAcquireSemaphoreResult().GetAcquired())
		require.Equal(t, []audit.Kind{audit.Grant}, r.paper.kinds(t))
		require.NoError(t, r.admin.Ready())
	})
}

// A server that waits for the audit log stops, and answers nothing that it did not log.
func TestServer_StopsWhileItWaitsForTheAuditLog(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		r := record(t, nil)
		s := r.attach(t, 0, time.Minute)
		r.paper.fill(true)
		s.send(acquireMessage(1, "job", forever))
		created := later(func() Ydb.StatusIds_StatusCode {
			status, _ := call(t.Context(), r.conn, "CreateNode", "/local/other")

			return status
		})
		synctest.Wait()
		require.Empty(t, created)
		began := time.Now()
		stopped := later(func() error { return r.server.Stop(context.WithoutCancel(t.Context())) })
		s.requireFailure(Ydb.StatusIds_UNAVAILABLE, "the server is stopping")
		require.Equal(t, Ydb.StatusIds_UNAVAILABLE, <-created)
		require.NoError(t, <-stopped)
		require.Less(t, time.Since(began), 2*time.Second)
		r.paper.fill(false) // for the last attempt of Close
	})
}

// A call that waits for the line about its refusal ends when the server stops, and may be repeated elsewhere.
func TestServer_StopsWhileARefusalWaitsForTheAuditLog(t *testing.T) {
	t.Parallel()
	u := usersFile(t)
	u.write(u.line("root"), "grant root / full")
	bubbletest.Test(t, func(t *testing.T) {
		r := record(t, u)
		r.paper.fill(true)
		paths := Ydb_Scheme_V1.NewSchemeServiceClient(r.as("nobody"))
		refused := later(func() codes.Code {
			_, err := paths.ListDirectory(t.Context(), &Ydb_Scheme.ListDirectoryRequest{Path: "/local"})

			return status.Code(err)
		})
		synctest.Wait()
		require.Empty(t, refused)
		require.NoError(t, r.server.Stop(context.WithoutCancel(t.Context())))
		require.Equal(t, codes.Unavailable, <-refused)
		r.paper.fill(false) // for the last attempt of Close
	})
}

// A call whose line is not written when the server stops, or when its caller gives up, does not succeed. Nor does it
// tell the reason of a refusal.
func TestServer_CallsFailWithoutTheirLineInTheAuditLog(t *testing.T) {
	t.Parallel()
	const password = "$2a$10$EGylFlC5kS5pdgxFmQamX.6wIz9H07wtq41vbFGcbCJMvnBxBP5Lu" // "correct horse"
	u := usersFile(t)
	u.write(u.line("root"), "grant root / full", u.line("ann"), "grant ann /local read", u.line("bob"),
		"grant bob /local list", "user eve password="+password)
	by := serverconfig.Requester{User: "root"}
	login := func(password string) func(*testing.T, *recording) any {
		return func(t *testing.T, r *recording) any {
			t.Helper()
			a, err := Ydb_Auth_V1.NewAuthServiceClient(r.conn).Login(t.Context(),
				&Ydb_Auth.LoginRequest{User: "eve", Password: password})
			require.NoError(t, err)

			return a.GetOperation().GetStatus()
		}
	}
	drop := func(user string) func(*testing.T, *recording) any {
		return func(t *testing.T, r *recording) any {
			t.Helper()
			status, _ := call(t.Context(), r.as(u.tokens[user]), "DropNode", r.node)

			return status
		}
	}
	for name, c := range map[string]struct {
		want any
		call func(t *testing.T, r *recording) any
	}{
		"node dropped":   {Ydb.StatusIds_UNAVAILABLE, drop("root")},
		"right missing":  {Ydb.StatusIds_UNAVAILABLE, drop("ann")},
		"login":          {Ydb.StatusIds_UNAVAILABLE, login("correct horse")},
		"wrong password": {Ydb.StatusIds_UNAVAILABLE, login("wrong")},
		"no right at all": {codes.Unavailable, func(t *testing.T, r *recording) any {
			t.Helper()
			bob := r.openAs(t, u.tokens["bob"])
			bob.send(startMessage(r.node, 0, time.Minute))
			m, err := bob.grpc.Recv()
			require.Nil(t, m)

			return status.Code(err)
		}},
		"session ended": {true, func(t *testing.T, r *recording) any {
			t.Helper()
			return r.admin.EndSession(t.Context(), by, r.node, r.session, 0) != nil
		}},
		"session ended by a caller who gives up": {true, func(t *testing.T, r *recording) any {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()

			return errors.Is(r.admin.EndSession(ctx, by, r.node, r.session, 0), context.DeadlineExceeded)
		}},
		"backup": {0, func(t *testing.T, r *recording) any {
			t.Helper()
			var copied bytes.Buffer
			require.Error(t, r.admin.Backup(t.Context(), by, &copied))

			return copied.Len()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubbletest.Test(t, func(t *testing.T) {
				r := record(t, u)
				r.session = r.attachAs(t, u.tokens["root"]).id
				r.paper.kinds(t)
				r.paper.fill(true)
				answer := later(func() any { return c.call(t, r) })
				synctest.Wait()
				require.Empty(t, answer)
				time.Sleep(2 * time.Second) // the caller who gives up has done so
				require.NoError(t, r.server.Stop(context.WithoutCancel(t.Context())))
				require.Equal(t, c.want, <-answer)
				require.Empty(t, r.paper.kinds(t))
				r.paper.fill(false) // for the last attempt of Close
			})
		})
	}
}

// When too many lines wait, calls that would add one are refused: their callers may have given up, so nothing else
// bounds the lines.
func TestServer_RefusesWhileTooManyLinesWait(t *testing.T) {
	t.Parallel()
	const password = "$2a$10$EGylFlC5kS5pdgxFmQamX.6wIz9H07wtq41vbFGcbCJMvnBxBP5Lu" // "correct horse"
	u := usersFile(t)
	u.write(u.line("root"), "grant root / full", "user eve password="+password)
	bubbletest.Test(t, func(t *testing.T) {
		r := record(t, u)
		root := r.as(u.tokens["root"])
		do := func(method, path string) func() Ydb.StatusIds_StatusCode {
			return func() Ydb.StatusIds_StatusCode {
				status, _ := call(t.Context(), root, method, path)

				return status
			}
		}
		login := func() Ydb.StatusIds_StatusCode {
			a, err := Ydb_Auth_V1.NewAuthServiceClient(r.conn).Login(t.Context(),
				&Ydb_Auth.LoginRequest{User: "eve", Password: "correct horse"})
			require.NoError(t, err)

			return a.GetOperation().GetStatus()
		}
		calls := []func() Ydb.StatusIds_StatusCode{do("CreateNode", "/local/other"), do("DropNode", "/local/other"), login}

		r.paper.fill(true)
		r.log.Write(audit.Event{Kind: audit.Grant})
		synctest.Wait() // until the writer has taken the event, and takes no other one before this is written
		for !r.log.Full() {
			r.log.Write(audit.Event{Kind: audit.Grant})
		}
		for _, f := range calls {
			answer := later(f)
			synctest.Wait()
			require.Equal(t, Ydb.StatusIds_OVERLOADED, <-answer)
		}
		r.paper.fill(false)
		time.Sleep(time.Minute) // until the log tries again
		for _, f := range calls {
			require.Equal(t, Ydb.StatusIds_SUCCESS, f())
		}
	})
}

// A node can be dropped while its owner waits. The call itself waits for its lines.
func TestServer_DropWhileItWaitsForTheAuditLog(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		r := record(t, nil)
		s := r.attach(t, 0, time.Minute)
		r.paper.kinds(t)
		r.paper.fill(true)
		s.send(acquireMessage(1, "job", forever))
		synctest.Wait()
		dropped := later(func() Ydb.StatusIds_StatusCode {
			status, _ := call(t.Context(), r.conn, "DropNode", r.node)

			return status
		})
		s.requireFailure(Ydb.StatusIds_UNAVAILABLE, "the coordination node was dropped")
		synctest.Wait()
		require.Empty(t, dropped)
		r.paper.fill(false)
		require.Equal(t, Ydb.StatusIds_SUCCESS, <-dropped)
		require.Equal(t, []audit.Kind{audit.Grant, audit.End, audit.NodeDrop}, r.paper.kinds(t))
	})
}

// Each kind of call that adds a line is answered when the line is written, and not before.
func TestServer_CallsWaitForTheAuditLog(t *testing.T) {
	t.Parallel()
	const password = "$2a$10$EGylFlC5kS5pdgxFmQamX.6wIz9H07wtq41vbFGcbCJMvnBxBP5Lu" // "correct horse"
	u := usersFile(t)
	u.write(u.line("root"), "grant root / full", u.line("ann"), "grant ann /local read", u.line("bob"),
		"grant bob /local list", "user eve password="+password)
	bubbletest.Test(t, func(t *testing.T) {
		r := record(t, u)
		paths := Ydb_Scheme_V1.NewSchemeServiceClient(r.as("nobody"))
		login := func(password string) func() any {
			return func() any {
				a, err := Ydb_Auth_V1.NewAuthServiceClient(r.conn).Login(t.Context(),
					&Ydb_Auth.LoginRequest{User: "eve", Password: password})
				require.NoError(t, err)

				return a.GetOperation().GetStatus()
			}
		}
		by := serverconfig.Requester{User: "root"}
		for _, test := range []struct {
			kind audit.Kind
			want any
			call func() any
		}{
			{audit.Denied, codes.Unauthenticated, func() any {
				_, err := paths.ListDirectory(t.Context(), &Ydb_Scheme.ListDirectoryRequest{Path: "/local"})

				return status.Code(err)
			}},
			{audit.Denied, codes.Unauthenticated, func() any {
				_, err := r.openAs(t, "nobody else").grpc.Recv()

				return status.Code(err)
			}},
			{audit.Denied, Ydb.StatusIds_UNAUTHORIZED, func() any {
				status, _ := call(t.Context(), r.as(u.tokens["ann"]), "DropNode", r.node)

				return status
			}},
			{audit.Denied, Ydb.StatusIds_UNAUTHORIZED, func() any {
				ann := r.attachAs(t, u.tokens["ann"])
				ann.send(acquireMessage(1, "job", 0))

				return ann.recv().GetAcquireSemaphoreResult().GetStatus()
			}},
			{audit.Denied, Ydb.StatusIds_UNAUTHORIZED, func() any {
				bob := r.openAs(t, u.tokens["bob"])
				bob.send(startMessage(r.node, 0, time.Minute))

				return bob.recv().GetFailure().GetStatus()
			}},
			{audit.Denied, Ydb.StatusIds_BAD_SESSION, func() any {
				s := r.openAs(t, u.tokens["root"])
				s.start(keyedStart(r.node, 0, "secret", time.Minute))
				thief := r.openAs(t, u.tokens["root"])
				thief.send(keyedStart(r.node, s.id, "wrong", time.Second))

				return thief.recv().GetFailure().GetStatus()
			}},
			{audit.Login, Ydb.StatusIds_UNAUTHORIZED, login("wrong")},
			{audit.Login, Ydb.StatusIds_SUCCESS, login("correct horse")},
			{audit.SessionEnd, nil, func() any {
				return r.admin.EndSession(t.Context(), by, r.node, r.attachAs(t, u.tokens["root"]).id, 0)
			}},
			{audit.Backup, nil, func() any { return r.admin.Backup(t.Context(), by, new(bytes.Buffer)) }},
			{audit.NodeCreate, Ydb.StatusIds_SUCCESS, func() any {
				status, _ := call(t.Context(), r.as(u.tokens["root"]), "CreateNode", "/local/other")

				return status
			}},
		} {
			r.paper.kinds(t)
			r.paper.fill(true)
			answer := later(test.call)
			time.Sleep(4500 * time.Millisecond) // the log tries each second; a call without a message ends after 10 s
			require.Empty(t, answer, "%s: %v", test.kind, test.want)
			require.Empty(t, r.paper.kinds(t))
			r.paper.fill(false)
			require.Equal(t, test.want, <-answer)
			require.Equal(t, []audit.Kind{test.kind}, r.paper.kinds(t))
		}
	})
}
