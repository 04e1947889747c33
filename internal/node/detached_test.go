package node_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/clock"
	"tenure/internal/node"
)

// requireSameSessions requires that Session, Detached and AllDetached agree with the model.
func (p *pair) requireSameSessions() {
	p.t.Helper()
	var want []node.Detached
	for _, s := range p.model.sessions {
		if s.stream != 0 {
			require.Equal(p.t, s.id, p.node.Session(s.stream))

			continue
		}
		want = append(want, node.Detached{Session: s.id, ProtectionKey: string(s.key), Deadline: s.deadline})
	}
	for id := range p.model.lastIDs.session + 2 {
		d, detached := p.node.Detached(id)
		at := slices.IndexFunc(want, func(w node.Detached) bool { return w.Session == id })
		require.Equal(p.t, at >= 0, detached, "session %d", id)
		if detached {
			require.Equal(p.t, want[at], d)
		}
	}
	require.Equal(p.t, want, slices.Collect(p.node.AllDetached()))
}

// TestNode_Detached checks what the node reports about detached sessions, after a detach (A10) and after a load (A13).
// A server needs this information to check the lifelines of these sessions.
func TestNode_Detached(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for i, key := range []string{"one", "", "three"} {
		p.apply(node.Attach{Stream: node.StreamID(i + 1), TimeoutMillis: 1000, ProtectionKey: []byte(key)})
	}
	require.Empty(t, slices.Collect(p.node.AllDetached()))
	require.EqualValues(t, 2, p.node.Session(2))
	require.Zero(t, p.node.Session(4))

	p.apply(node.Detach{Stream: 3})
	require.Zero(t, p.node.Session(3))
	require.Equal(t, []node.Detached{
		{Session: 3, ProtectionKey: "three", Deadline: clock.Instant(1).Add(time.Second)},
	}, slices.Collect(p.node.AllDetached()))

	p.restart(node.Config{})
	late := clock.Instant(1).Add(11 * time.Second)
	require.Equal(t, []node.Detached{
		{Session: 1, ProtectionKey: "one", Deadline: late},
		{Session: 2, Deadline: late},
		{Session: 3, ProtectionKey: "three", Deadline: late},
	}, slices.Collect(p.node.AllDetached()))
	for range p.node.AllDetached() { // the iteration can be stopped early
		break
	}

	_, detached := p.node.Detached(4)
	require.False(t, detached)
}
