package node_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
)

// crowd returns the limit on sessions and semaphores for the test: a million. If Apply checks the invariants, crowd
// first lowers the limit, since the test would take too long.
func crowd(t *testing.T, n *node.Node) uint64 {
	t.Helper()
	sessions, semaphores := n.Limits()
	require.Equal(t, []int{million, million}, []int{sessions, semaphores})
	if !node.Invariants && !testing.Short() {
		return million
	}
	n.Limit(5_000)

	return 5_000
}

// ask applies one request and returns the single message that answers it.
func ask(t *testing.T, n *node.Node, r node.Request) node.Message {
	t.Helper()
	var fx node.Effects
	n.Apply(1, r, &fx)
	require.Len(t, fx.Replies, 1, "%+v", r)

	return fx.Replies[0].Message
}

// TestNode_SessionLimit checks the limit in the last sentence of A5.
func TestNode_SessionLimit(t *testing.T) {
	t.Parallel()
	n := node.New()
	most := crowd(t, n)
	for i := uint64(1); i <= most; i++ {
		var fx node.Effects
		n.Apply(1, node.Attach{Stream: node.StreamID(i), TimeoutMillis: 1}, &fx)
		if fx.Replies[0].Message != (node.Attached{Session: i, TimeoutMillis: 1}) {
			t.Fatalf("attach %d: %+v", i, fx.Replies)
		}
	}

	next := node.StreamID(most + 1)
	full := node.Failure{Status: node.PreconditionFailed, Issue: "Too many sessions already exist"}
	require.Equal(t, full, ask(t, n, node.Attach{Stream: next}))
	require.Equal(t, node.Failure{Status: node.BadRequest, Issue: "Protection key is too large"},
		ask(t, n, node.Attach{Stream: next, ProtectionKey: make([]byte, 17)}), "A4 comes before A5")
	require.Equal(t, node.Failure{Status: node.SessionExpired, Issue: "Session does not exist"},
		ask(t, n, node.Attach{Stream: next, Session: most + 1}), "no id was used, and restoring is not limited")

	var fx node.Effects
	n.Apply(1, node.Detach{Stream: 1}, &fx)
	require.Equal(t, full, ask(t, n, node.Attach{Stream: next}), "detached sessions count towards the limit")
	require.Equal(t, node.Attached{Session: 1}, ask(t, n, node.Attach{Stream: next, Session: 1}))

	require.Equal(t, node.Stopped{Session: 1}, ask(t, n, node.Stop{From: node.From{Stream: next, Session: 1}}))
	require.Equal(t, node.Attached{Session: most + 1}, ask(t, n, node.Attach{Stream: next + 1}))
	require.Equal(t, full, ask(t, n, node.Attach{Stream: next + 2}))
}

// TestNode_SemaphoreLimit checks the limit of Q4 and S1. Ephemeral and persistent semaphores both count towards it.
func TestNode_SemaphoreLimit(t *testing.T) {
	t.Parallel()
	n := node.New()
	most := crowd(t, n)
	from := node.From{Stream: 1, Session: 1}
	require.Equal(t, node.Attached{Session: 1}, ask(t, n, node.Attach{Stream: 1}))
	for i := uint64(1); i <= most; i++ {
		var fx node.Effects
		var want node.Message
		if i%2 == 0 {
			n.Apply(1, node.Create{From: from, Semaphore: strconv.FormatUint(i, 10), Limit: 1}, &fx)
			want = node.Created{Result: node.Result{Status: node.Success}}
		} else {
			n.Apply(1, node.Acquire{From: from, Semaphore: strconv.FormatUint(i, 10), Count: 1, Ephemeral: true}, &fx)
			want = node.Acquired{Result: node.Result{Status: node.Success}, Acquired: true}
		}
		if fx.Replies[0].Message != want {
			t.Fatalf("semaphore %d: %+v", i, fx.Replies)
		}
	}

	full := node.Result{Status: node.PreconditionFailed, Issue: "Too many semaphores already exist"}
	require.Equal(t, node.Created{Result: full}, ask(t, n, node.Create{From: from, Semaphore: "next", Limit: 1}))
	require.Equal(t, node.Acquired{Result: full},
		ask(t, n, node.Acquire{From: from, Semaphore: "next", Count: 1, Ephemeral: true}))
	require.Equal(t, node.AlreadyExists,
		ask(t, n, node.Create{From: from, Semaphore: "2", Limit: 1}).(node.Created).Status, "S1: the limit is checked last")
	require.Equal(t, "Semaphore does not exist",
		ask(t, n, node.Acquire{From: from, Semaphore: "next", Count: 1}).(node.Acquired).Issue, "Q3 comes before Q4")
	require.True(t, ask(t, n, node.Acquire{From: from, Semaphore: "2", Count: 1}).(node.Acquired).Acquired,
		"an existing semaphore can be acquired")

	// An ephemeral semaphore is deleted with its last link (Q11), which makes room for another one.
	require.True(t, ask(t, n, node.Release{From: from, Semaphore: "1"}).(node.Released).Released)
	require.True(t,
		ask(t, n, node.Acquire{From: from, Semaphore: "next", Count: 1, Ephemeral: true}).(node.Acquired).Acquired)
	require.Equal(t, node.Created{Result: full}, ask(t, n, node.Create{From: from, Semaphore: "last", Limit: 1}))
}

func TestConfig_Grace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		selfCheck, grace uint32
		millis           int64
	}{
		{0, 0, 10_000},
		{0, 1, 2_000},
		{0, 1_999, 2_000},
		{0, 2_000, 2_000},
		{0, 2_001, 2_001},
		{0, 29_999, 29_999},
		{0, 30_000, 30_000},
		{0, 30_001, 30_000},
		{0, 1<<32 - 1, 30_000},
		{1, 1, 1_500},
		{499, 1, 1_500},
		{500, 1, 1_500},
		{501, 1, 1_501},
		{9_000, 0, 10_000},
		{9_001, 0, 10_001},
		{9_999, 1, 10_999},
		{10_000, 1, 11_000},
		{10_001, 1, 11_000},
		{1<<32 - 1, 1, 11_000},
		{1<<32 - 1, 1<<32 - 1, 30_000},
	} {
		got := node.Config{SelfCheckPeriodMillis: c.selfCheck, SessionGracePeriodMillis: c.grace}.Grace()
		require.Equal(t, c.millis, got.Milliseconds(), "N5: self check %d, grace %d", c.selfCheck, c.grace)
	}
}
