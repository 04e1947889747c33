package node_test

import (
	"fmt"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
)

// resultOf returns the result in an answer.
func resultOf(t *testing.T, m node.Message) node.Result {
	t.Helper()
	switch m := m.(type) {
	case node.Acquired:
		return m.Result
	case node.Released:
		return m.Result
	case node.Created:
		return m.Result
	case node.Updated:
		return m.Result
	case node.Deleted:
		return m.Result
	}
	require.Fail(t, "no result", "%T", m)

	return node.Result{}
}

// A node that has no room refuses what needs more of it. Everything else is served, above all what makes room.
func TestNode_NoRoom(t *testing.T) {
	t.Parallel()
	data := func(size int) []byte { return make([]byte, size) }
	for name, test := range map[string]struct {
		set     func(*node.Node)
		refusal node.Result
		always  bool // also what has no data is refused
	}{
		"data": {
			func(n *node.Node) { n.SetLimits(node.Limits{Data: 20}) },
			node.Result{Status: node.PreconditionFailed, Issue: "The node has no room for more data (its limit is 20 bytes)"},
			false,
		},
		"full": {
			func(n *node.Node) { n.SetFull("the disk is full") },
			node.Result{Status: node.Overloaded, Issue: "the disk is full"},
			true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := node.New()
			one, two := node.From{Stream: 1, Session: 1}, node.From{Stream: 2, Session: 2}
			ask(t, n, node.Attach{Stream: 1, TimeoutMillis: 1})
			ask(t, n, node.Attach{Stream: 2, TimeoutMillis: 1})
			ask(t, n, node.Create{From: one, Semaphore: "sem", Limit: 2, Data: data(5)})
			ask(t, n, node.Create{From: one, Semaphore: "free", Limit: 2})
			ask(t, n, node.Acquire{From: one, Semaphore: "sem", Count: 2, TimeoutMillis: node.Forever, Data: data(4)})
			test.set(n)
			require.EqualValues(t, 0, n.Refusals())

			refused := 0
			for _, r := range []node.Request{
				node.Create{From: one, Semaphore: "other", Limit: 1},
				node.Update{From: one, Semaphore: "sem", Data: data(10)},
				node.Acquire{From: two, Semaphore: "free", Count: 1, Data: data(10)},
				node.Acquire{From: one, Semaphore: "sem", Count: 1, Data: data(10)},
				node.Acquire{From: two, Semaphore: "ephemeral", Count: 1, Ephemeral: true},
			} {
				require.Equal(t, test.refusal, resultOf(t, ask(t, n, r)), "%T", r)
				refused++
			}
			fresh := ask(t, n, node.Acquire{From: two, Semaphore: "free", Count: 1})
			attach := ask(t, n, node.Attach{Stream: 3, TimeoutMillis: 1, Description: "a rather long description"})
			if test.always {
				refused += 2
				require.Equal(t, test.refusal, resultOf(t, fresh))
				require.Equal(t, node.Failure{Status: test.refusal.Status, Issue: test.refusal.Issue}, attach)
			} else {
				require.Equal(t, node.Success, resultOf(t, fresh).Status)
				require.IsType(t, node.Attached{}, attach)
			}
			require.EqualValues(t, refused, n.Refusals())

			for _, r := range []node.Request{
				node.Update{From: one, Semaphore: "sem", Data: data(4)},
				node.Update{From: one, Semaphore: "sem", Data: []byte("same")},
				node.Acquire{From: one, Semaphore: "sem", Count: 1, Data: data(3)},
				node.Release{From: one, Semaphore: "sem"},
				node.Delete{From: one, Semaphore: "sem"},
			} {
				require.Equal(t, node.Success, resultOf(t, ask(t, n, r)).Status, "%T", r)
			}
			require.IsType(t, node.Stopped{}, ask(t, n, node.Stop{From: two}))
			n.SetFull("")
			r := node.Create{From: one, Semaphore: "other", Limit: 1}
			require.Equal(t, node.Success, resultOf(t, ask(t, n, r)).Status)
			n.Check()
		})
	}
}

// The queue of a semaphore has a bound. An acquire that need not wait is served, and one that repeats another keeps its
// place.
func TestNode_WaiterLimit(t *testing.T) {
	t.Parallel()
	n := node.New()
	n.SetLimits(node.Limits{Waiters: 2})
	acquire := func(session uint64, semaphore string) node.Result {
		var fx node.Effects
		n.Apply(1, node.Acquire{
			From: node.From{Stream: node.StreamID(session), Session: session}, Semaphore: semaphore, Count: 1 << 63,
			TimeoutMillis: node.Forever, Ephemeral: true,
		}, &fx)
		if m, ok := fx.Replies[len(fx.Replies)-1].Message.(node.Acquired); ok {
			return m.Result
		}

		return node.Result{}
	}
	for i := range node.StreamID(4) {
		ask(t, n, node.Attach{Stream: i + 1, TimeoutMillis: 1})
	}
	require.Equal(t, node.Success, acquire(1, "job").Status)
	require.Zero(t, acquire(2, "job"))
	require.Zero(t, acquire(3, "job"))
	full := node.Result{Status: node.Overloaded, Issue: "Too many waiters for the semaphore (the limit is 2)"}
	require.Equal(t, full, acquire(4, "job"))
	require.Zero(t, acquire(3, "job"))
	require.Equal(t, node.Success, acquire(4, "other").Status)
	ask(t, n, node.Stop{From: node.From{Stream: 3, Session: 3}})
	require.Zero(t, acquire(4, "job"))
}

// The estimate for the records of a node is at least that for the node, so that a node which was allowed to grow can be
// loaded again.
func TestNode_Footprint(t *testing.T) {
	t.Parallel()
	n := node.New()
	var fx node.Effects
	for i := range uint64(10) {
		from := node.From{Stream: node.StreamID(i + 1), Session: i + 1}
		n.Apply(1, node.Attach{Stream: from.Stream, TimeoutMillis: 1, Description: "somebody"}, &fx)
		n.Apply(1, node.Acquire{
			From: from, Semaphore: fmt.Sprint("job-", i), Count: 1, Data: make([]byte, 100), Ephemeral: true,
		}, &fx)
	}
	records := 0
	for _, r := range fx.Changes {
		records += node.RecordFootprint(r)
	}
	require.GreaterOrEqual(t, records, n.Footprint())
	require.LessOrEqual(t, records, n.Footprint()*9/8)

	again, err := node.Load(1, node.Config{}, iter.Seq2[node.Record, error](func(yield func(node.Record, error) bool) {
		for _, r := range fx.Changes {
			if !yield(r, nil) {
				return
			}
		}
	}))
	require.NoError(t, err)
	require.Equal(t, n.Footprint(), again.Footprint())
}

// Numbers in a record have different sizes. The estimate for the records is at most an eighth higher than that for the
// node even if all numbers are large.
func TestNode_Footprint_LargeNumbers(t *testing.T) {
	t.Parallel()
	none := func(func(node.Record, error) bool) {}
	n, err := node.Load(1, node.Config{Above: 1 << 62}, none)
	require.NoError(t, err)
	n.SetDate(1 << 41) // in the year 2039
	var fx node.Effects
	for i := range node.StreamID(10) {
		n.Apply(1, node.Attach{Stream: i + 1, TimeoutMillis: 1}, &fx)
	}
	before := n.Footprint()
	fx = node.Effects{}
	for i := range uint64(10) {
		n.Apply(1, node.Acquire{
			From: node.From{Stream: node.StreamID(i + 1), Session: 1<<62 + i + 1}, Semaphore: "job",
			Count: 1<<64 - 1, TimeoutMillis: node.Forever, Ephemeral: true,
		}, &fx)
	}
	records := 0
	for _, r := range fx.Changes {
		records += node.RecordFootprint(r)
	}
	grown := n.Footprint() - before
	require.Positive(t, grown)
	require.GreaterOrEqual(t, records, grown)
	require.LessOrEqual(t, records, grown*9/8)
}
