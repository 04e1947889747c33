package node_test

import (
	"cmp"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"tenure/internal/node"
)

// requireSameSnapshot compares the snapshot of the node with the model.
func (p *pair) requireSameSnapshot() {
	p.t.Helper()
	want := &node.Snapshot{}
	for _, s := range p.model.sessions {
		state := node.SessionState{Session: s.id, Attached: s.stream != 0, Description: s.description}
		if !state.Attached {
			state.Ends = s.deadline
		}
		want.Sessions = append(want.Sessions, state)
	}
	for _, sem := range p.model.semaphores {
		want.Semaphores = append(want.Semaphores, *p.model.description(sem))
	}
	got := p.node.Snapshot()
	sortSnapshot(want)
	sortSnapshot(got)
	if diff := gocmp.Diff(want, got, same); diff != "" {
		p.t.Fatalf("snapshot by the model (-) and the node (+):\n%s", diff)
	}
}

func sortSnapshot(s *node.Snapshot) {
	slices.SortFunc(s.Sessions, func(a, b node.SessionState) int { return cmp.Compare(a.Session, b.Session) })
	slices.SortFunc(s.Semaphores, func(a, b node.Description) int { return cmp.Compare(a.Name, b.Name) })
}

// TestNode_Snapshot checks that a snapshot does not change when the node changes or when its user appends to one of its
// slices.
func TestNode_Snapshot(t *testing.T) {
	t.Parallel()
	p := newPopulation()
	p.attach(3, 0)
	p.do(node.Create{From: from(1), Semaphore: "job", Limit: 1, Data: []byte("data")})
	for i := range 3 {
		p.do(node.Acquire{From: from(i + 1), Semaphore: "job", Count: 1, TimeoutMillis: 1000, Data: []byte{byte('a' + i)}})
	}
	want := &node.Snapshot{
		Sessions: []node.SessionState{{1, true, "", 0}, {2, true, "", 0}, {3, true, "", 0}},
		Semaphores: []node.Description{{
			Name: "job", Data: []byte("data"), Count: 1, Limit: 1,
			Owners: []node.Holder{{OrderID: 1, Session: 1, Count: 1, Data: []byte("a")}},
			Waiters: []node.Holder{
				{OrderID: 2, Session: 2, Count: 1, TimeoutMillis: 1000, Data: []byte("b")},
				{OrderID: 3, Session: 3, Count: 1, TimeoutMillis: 1000, Data: []byte("c")},
			},
		}},
	}
	got := p.Snapshot()
	sortSnapshot(got)
	require.Equal(t, want, got)

	p.do(node.Detach{Stream: 1})
	p.do(node.Update{From: from(2), Semaphore: "job", Data: []byte("other")})
	_ = append(got.Semaphores[0].Owners, node.Holder{OrderID: 7})
	require.Equal(t, want, got)
	require.Len(t, p.Snapshot().Sessions, 2)
}

// BenchmarkNode_Snapshot measures how long a snapshot of a large node blocks the owner of the node.
func BenchmarkNode_Snapshot(b *testing.B) {
	const held = 100_000
	p := newPopulation()
	p.hold(held)
	b.ReportAllocs()
	for b.Loop() {
		if s := p.Snapshot(); len(s.Semaphores) != held {
			b.Fatal(len(s.Semaphores))
		}
	}
}
