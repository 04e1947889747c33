package etcdstore

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/relaytest"
)

// Errors of an etcd that does not answer say what to do.
func TestExplain(t *testing.T) {
	t.Parallel()
	lis := relaytest.Listen(t)
	member := "http://" + lis.Addr().String()
	c := Cluster{URLs: []string{member}}
	require.EqualError(t, c.explain(t.Context(), "/t/", errSilent), "etcd at "+member+
		" cannot be used: it accepts connections, but has not answered within 10s: has it a quorum?")
	require.NoError(t, lis.Close())
	require.EqualError(t, c.explain(t.Context(), "/t/", errSilent), "etcd at "+member+
		" cannot be used: "+member+" refuses connections: start etcd there, or correct the address")

	clk := &handClock{}
	s := &Store{health: &health{etcd: &etcd{clock: clk}}}
	clk.now.Store(int64(healthLimit) + 1)
	for _, err := range []error{nil, context.DeadlineExceeded} {
		s.health.err = err
		require.EqualError(t, s.Ready(), "etcd has not answered for 5s: check that it runs and has a quorum")
	}
	s.health.err = errors.New("refused")
	require.EqualError(t, s.Ready(), "etcd has not answered for 5s: refused")
}
