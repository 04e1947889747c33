package lock_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/scheme"

	"tenure"
	"tenure/lock"
	"tenure/tenuretest"
)

// lookingUp counts the look-ups of nodes.
type lookingUp struct {
	*tenure.Client

	n atomic.Int32
}

func (l *lookingUp) DescribeNode(
	ctx context.Context, path string,
) (*scheme.Entry, *coordination.NodeConfig, error) {
	l.n.Add(1)

	return l.Client.DescribeNode(ctx, path)
}

// With the client of package tenure, a node is looked up only if the server refuses to open a session on it.
func TestAcquire_LooksUpMissingNodes(t *testing.T) {
	t.Parallel()
	client := &lookingUp{Client: tenuretest.NewServer(t).Client(t)}
	_, err := lock.Acquire(t.Context(), client, "/local/new", name, lock.WithoutCreate())
	require.ErrorContains(t, err, `node "/local/new" does not exist`)
	require.EqualValues(t, 1, client.n.Load())

	held, err := lock.Acquire(t.Context(), client, "/local/new", name)
	require.NoError(t, err)
	require.NoError(t, held.Release(t.Context()))
	require.EqualValues(t, 2, client.n.Load())

	held, err = lock.Acquire(t.Context(), client, "/local/new", name, lock.WithoutCreate())
	require.NoError(t, err)
	require.NoError(t, held.Release(t.Context()))
	require.EqualValues(t, 2, client.n.Load())
}
