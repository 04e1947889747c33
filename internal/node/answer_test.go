package node_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
)

// crowded returns a node whose semaphore "job" has one owner and the number of waiters, each with its own session and
// with data of the size.
func crowded(t *testing.T, waiters, size int) *node.Node {
	t.Helper()
	n := node.New()
	for i := range waiters + 1 {
		id := uint64(i + 1)
		require.IsType(t, node.Attached{}, ask(t, n, node.Attach{Stream: node.StreamID(id), TimeoutMillis: 1}))
		ask(t, n, node.Acquire{
			From: node.From{Stream: node.StreamID(id), Session: id}, Semaphore: "job", Count: node.Forever,
			TimeoutMillis: node.Forever, Data: make([]byte, size), Ephemeral: true,
		})
	}

	return n
}

func describeAll(t *testing.T, n *node.Node) node.Described {
	t.Helper()

	return ask(t, n, node.Describe{
		From: node.From{Stream: 1, Session: 1}, Semaphore: "job", IncludeOwners: true, IncludeWaiters: true,
	}).(node.Described)
}

// Descriptions share the list of waiters until the queue changes.
func TestDescribe_SharesLists(t *testing.T) {
	t.Parallel()
	n := crowded(t, 100, 1)
	first, second := describeAll(t, n).Semaphore, describeAll(t, n).Semaphore
	require.Len(t, first.Waiters, 100)
	require.Same(t, &first.Waiters[0], &second.Waiters[0])

	var fx node.Effects
	n.Apply(1, node.Release{From: node.From{Stream: 2, Session: 2}, Semaphore: "job"}, &fx)
	third := describeAll(t, n).Semaphore
	require.Len(t, third.Waiters, 99)
	require.Len(t, first.Waiters, 100, "what has been answered does not change")
	n.Apply(1, node.Acquire{
		From: node.From{Stream: 3, Session: 3}, Semaphore: "job", Count: 1, TimeoutMillis: 7, Ephemeral: true,
	}, &fx)
	require.Equal(t, node.Holder{OrderID: 3, Session: 3, Count: 1, TimeoutMillis: 7},
		describeAll(t, n).Semaphore.Waiters[0])
	require.Equal(t, []byte{0}, third.Waiters[0].Data)
}

// A description that is larger than the room for it is refused. Then nothing is copied, and no watch is set.
func TestDescribe_TooLarge(t *testing.T) {
	t.Parallel()
	n := crowded(t, 100, 1000)
	r := node.Describe{
		From: node.From{Stream: 1, Session: 1}, Req: 7, Semaphore: "job", IncludeWaiters: true, WatchData: true,
	}
	var fx node.Effects
	n.Apply(1, r, &fx)
	size := fx.Described()
	require.InDelta(t, 100*1000, size, 100*100)
	require.Equal(t, 100, fx.Copied())

	n.AnswerRoom(size - 1)
	fx = node.Effects{}
	n.Apply(1, r, &fx)
	require.Equal(t, []node.Reply{{Stream: 1, Message: node.Described{
		Result: node.Result{Req: 7, Status: node.Overloaded, Issue: "Too many answers in flight"},
	}}}, fx.Replies)
	require.Zero(t, fx.Described())
	require.Zero(t, fx.Copied())
	n.AnswerRoom(size)
	require.Equal(t, node.Success, ask(t, n, node.Describe{
		From: node.From{Stream: 1, Session: 1}, Semaphore: "job", IncludeWaiters: true,
	}).(node.Described).Status)

	huge := crowded(t, 65, 1<<20)
	require.Equal(t, node.Result{Status: node.PreconditionFailed, Issue: "The description is too large"},
		describeAll(t, huge).Result)
}
