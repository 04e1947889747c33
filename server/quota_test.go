package server_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Scheme_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Scheme"

	"tenure/internal/bubbletest"
	"tenure/server"
)

// A user who reaches a limit is refused with a text, other users are not, and the limits follow the tokens file.
func TestQuota_User(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		u := usersFile(t)
		lines := []string{u.line("root"), u.line("ann"), "grant root / full", "grant ann / use"}
		u.write(append(lines, "limit ann streams=2 sessions=3 rate=2/s attaches=1/s")...)
		h := serveUsers(t, u)
		ann, root := u.tokens["ann"], u.tokens["root"]

		s := h.attachAs(t, ann)
		s.send(acquireMessage(1, "job", 0)) // this and the next one are in the rate, 2 more are assured
		require.True(t, s.recv().GetAcquireSemaphoreResult().GetAcquired())
		for i := range uint64(3) {
			s.send(describeMessage(2+i, "job"))
			require.Equal(t, Ydb.StatusIds_SUCCESS, s.recv().GetDescribeSemaphoreResult().GetStatus())
		}
		s.send(describeMessage(20, "job"))
		r := s.recv().GetDescribeSemaphoreResult()
		require.Equal(t, Ydb.StatusIds_OVERLOADED, r.GetStatus())
		require.Equal(t, "User ann sends too many requests a second", r.GetIssues()[0].GetMessage())
		require.Equal(t, Ydb.StatusIds_OVERLOADED, list(t, h, ann))
		require.Equal(t, Ydb.StatusIds_SUCCESS, list(t, h, root))
		s.send(pingMessage(7))
		require.EqualValues(t, 7, s.recv().GetPong().GetOpaque())
		s.requireReleased("job") // is never refused
		time.Sleep(8 * time.Second)
		require.Equal(t, Ydb.StatusIds_SUCCESS, list(t, h, ann))

		second := h.attachAs(t, ann)
		refused := func(text string) {
			third := h.openAs(t, ann)
			third.send(startMessage(h.node, 0, time.Minute))
			third.requireFailure(Ydb.StatusIds_OVERLOADED, text)
		}
		refused("User ann already has as many streams as allowed")
		h.attachAs(t, root)
		back := h.openAs(t, ann) // the server has not noticed the end of the last stream yet
		back.send(startMessage(h.node, second.id, time.Minute))
		require.Equal(t, second.id, back.recv().GetSessionStarted().GetSessionId())
		second.requireFailure(Ydb.StatusIds_BAD_SESSION, "Session stolen by another local client")
		back.cancel()
		synctest.Wait()
		h.attachAs(t, ann).cancel()
		synctest.Wait()
		refused("Too many sessions already exist") // two are detached
		time.Sleep(time.Minute)                    // now they have ended
		u.write(append(lines, "limit ann attaches=1/s")...)
		require.NoError(t, h.server.Reload())
		for range 10 {
			h.attachAs(t, ann)
		}
		refused("User ann starts too many sessions a second")
		time.Sleep(time.Second)
		h.attachAs(t, ann)
		require.Equal(t, map[string]uint64{
			"user_rate": 2, "user_streams": 1, "user_sessions": 1, "user_attaches": 1,
		}, h.server.Limits())
	})
}

func list(t *testing.T, h *harness, ticket string) Ydb.StatusIds_StatusCode {
	t.Helper()
	r, err := Ydb_Scheme_V1.NewSchemeServiceClient(h.as(ticket)).ListDirectory(t.Context(),
		&Ydb_Scheme.ListDirectoryRequest{Path: "/local"})
	require.NoError(t, err)

	return r.GetOperation().GetStatus()
}

// A server without users has the limits of all clients together. Sessions count until they end.
func TestQuota_All(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		h := serve(t, server.WithLimits(server.Limits{TotalSessions: 2, RequestRate: 10, AttachRate: 100}))
		time.Sleep(time.Second)
		s := h.attach(t, 0, time.Second)
		h.attach(t, 0, time.Minute)
		refused := func() {
			another := h.open(t)
			another.send(startMessage(h.node, 0, time.Minute))
			another.requireFailure(Ydb.StatusIds_OVERLOADED, "Too many sessions already exist")
		}
		refused()
		for i := range uint64(12) { // two are assured
			s.send(describeMessage(i, "none"))
			require.Equal(t, Ydb.StatusIds_NOT_FOUND, s.recv().GetDescribeSemaphoreResult().GetStatus())
		}
		s.send(describeMessage(1, "none"))
		r := s.recv().GetDescribeSemaphoreResult()
		require.Equal(t, Ydb.StatusIds_OVERLOADED, r.GetStatus())
		require.Equal(t, "The server accepts at most 10 requests a second", r.GetIssues()[0].GetMessage())
		s.cancel()
		synctest.Wait()
		refused()
		time.Sleep(2 * time.Second)
		h.attach(t, 0, time.Minute)
		require.Equal(t, map[string]uint64{"sessions": 2, "request_rate": 1}, h.server.Limits())
	})
}

// The renewals of a session's lease are never refused, whatever its user sends, but nothing else is assured. Other
// requests of the user pay for the renewals.
func TestQuota_Renewals(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		h := serve(t, server.WithLimits(server.Limits{RequestRate: 1}))
		s := h.attach(t, 0, 400*time.Millisecond)
		for i := range uint64(100) {
			time.Sleep(100 * time.Millisecond)
			s.send(describeMessage(2*i+1, "none"))
			require.Equal(t, Ydb.StatusIds_NOT_FOUND, s.recv().GetDescribeSemaphoreResult().GetStatus())
			s.send(acquireMessage(2*i+2, "job", 0))
			require.Equal(t, Ydb.StatusIds_OVERLOADED, s.recv().GetAcquireSemaphoreResult().GetStatus())
		}
		var refused int
		for i := range uint64(100) {
			time.Sleep(time.Millisecond)
			s.send(describeMessage(1_000+i, "none"))
			if s.recv().GetDescribeSemaphoreResult().GetStatus() == Ydb.StatusIds_OVERLOADED {
				refused++
			}
		}
		require.InDelta(t, 98, refused, 1, "one more than one in a quarter of the timeout")
	})
}

// An attach to a session that does not exist counts as a new session: a client that guesses ids cannot begin others.
func TestQuota_UnknownSessions(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		h := serve(t, server.WithLimits(server.Limits{AttachRate: 1}))
		first := h.attach(t, 0, time.Minute)
		for range 9 { // with the first one, those of ten seconds
			unknown := h.open(t)
			unknown.send(startMessage(h.node, 77, time.Minute))
			unknown.requireFailure(Ydb.StatusIds_SESSION_EXPIRED, "Session does not exist")
		}
		refused := h.open(t)
		refused.send(startMessage(h.node, 0, time.Minute))
		refused.requireFailure(Ydb.StatusIds_OVERLOADED, "The server starts at most 1 session a second")
		first.cancel()
		synctest.Wait()
		h.attach(t, first.id, time.Minute)
		time.Sleep(time.Second)
		h.attach(t, 0, time.Minute)
	})
}

// A SessionStart with a long text is refused by the node, as any other with an error.
func TestStart_LongTexts(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		h := serve(t)
		for text, change := range map[string]func(description *string, key *[]byte){
			"Description is too large":    func(d *string, _ *[]byte) { *d = strings.Repeat("x", 1<<20) },
			"Protection key is too large": func(_ *string, k *[]byte) { *k = make([]byte, 1<<20) },
		} {
			s, m := h.open(t), startMessage(h.node, 0, time.Minute)
			change(&m.GetSessionStart().Description, &m.GetSessionStart().ProtectionKey)
			s.send(m)
			s.requireFailure(Ydb.StatusIds_BAD_REQUEST, text)
		}
	})
}
