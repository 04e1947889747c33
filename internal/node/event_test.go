package node_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/clock"
	"tenure/internal/node"
)

// firstDate is the date at which tests begin, in ms since 1970.
const firstDate = 1_780_000_000_000

func (m *model) emit(e node.Event) {
	e.At = m.now
	m.emitted = append(m.emitted, e)
}

func (m *model) emitLink(kind node.EventKind, cause node.Cause, l *modelLink) {
	sem := m.semaphoreOf(l)
	m.emit(node.Event{
		Kind: kind, Cause: cause, AtLeast: l.loaded, Session: l.session, Semaphore: sem.name, OrderID: l.order,
		Count: l.count, Limit: sem.limit, Data: l.data, Took: m.now.Sub(l.at),
	})
}

// emitEnd reports the end of a link that is about to be removed.
func (m *model) emitEnd(l *modelLink, cause node.Cause) {
	kind := node.GaveUp
	if m.owns(l) {
		kind = node.Ended
	}
	m.emitLink(kind, cause, l)
}

func (m *model) endLink(l *modelLink, cause node.Cause) {
	m.emitEnd(l, cause)
	m.removeLink(l)
}

// requireSameAges compares the ages and sizes of the node with the model.
func (p *pair) requireSameAges() {
	p.t.Helper()
	m := p.model
	var ages node.Ages
	older := func(at *clock.Instant, by clock.Instant) bool {
		if *at == 0 || by < *at {
			*at = by

			return true
		}

		return false
	}
	sizes := node.Sizes{Sessions: len(m.sessions), Semaphores: len(m.semaphores)}
	for _, s := range m.sessions {
		if s.stream != 0 {
			sizes.Attached++
		}
	}
	for _, l := range m.links { // by order id, which is the order in which they have joined
		switch {
		case m.owns(l):
			sizes.Owners++
			older(&ages.Hold, l.at)
		default:
			sizes.Waiters++
			if older(&ages.Wait, l.at) {
				ages.WaitDate = l.since
			}
		}
	}
	got := p.node.Ages()
	require.Equal(p.t, sizes, p.node.Sizes())
	require.Equal(p.t, got.Detached != 0, slices.ContainsFunc(m.links, func(l *modelLink) bool {
		return m.session(l.session).stream == 0 && m.owns(l)
	}))
	require.GreaterOrEqual(p.t, got.Detached, min(got.Detached, ages.Hold))
	got.Detached = 0
	require.Equal(p.t, ages, got)
}

// TestNode_Ages_Detached checks since when a detached session has held something.
func TestNode_Ages_Detached(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.apply(
		node.Attach{Stream: 1, TimeoutMillis: 60_000}, node.Attach{Stream: 2, TimeoutMillis: 60_000},
		node.Acquire{From: node.From{Stream: 1, Session: 1}, Semaphore: "a", Count: 1, Ephemeral: true},
		node.Acquire{From: node.From{Stream: 1, Session: 1}, Semaphore: "b", Count: 1<<64 - 1, Ephemeral: true},
		node.Acquire{
			From: node.From{Stream: 2, Session: 2}, Semaphore: "b", Count: 1, TimeoutMillis: 50_000, Ephemeral: true,
		},
	)
	require.Zero(t, p.node.Ages().Detached, "both are attached")
	p.now += after(1_000)
	p.apply(node.Detach{Stream: 2})
	require.Zero(t, p.node.Ages().Detached, "it only waits")
	p.now += after(1_000)
	first := p.now
	p.apply(node.Detach{Stream: 1})
	require.Equal(t, first, p.node.Ages().Detached)
	p.now += after(1_000)
	p.apply(node.Attach{Stream: 3, Session: 1, TimeoutMillis: 60_000})
	require.Zero(t, p.node.Ages().Detached)
	p.now += after(1_000)
	p.apply(node.Release{From: node.From{Stream: 3, Session: 1}, Semaphore: "b"})
	require.Equal(t, p.now, p.node.Ages().Detached, "the grant to a detached session")
	p.requireSameState()
}

// TestNode_EventsOfGrants checks that every grant has one end, and that every wait has one.
func TestNode_EventsOfGrants(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	stream := node.StreamID(0)
	var froms []node.From
	open := map[uint64]node.EventKind{} // by order id
	apply := func(r node.Request) {
		for _, e := range p.apply(r).Events {
			switch e.Kind {
			case node.Waiting:
				require.NotContains(t, open, e.OrderID)
				open[e.OrderID] = node.Waiting
			case node.Granted:
				require.NotEqual(t, node.Granted, open[e.OrderID])
				open[e.OrderID] = node.Granted
			case node.Ended:
				require.Equal(t, node.Granted, open[e.OrderID])
				delete(open, e.OrderID)
			case node.GaveUp:
				if e.OrderID != 0 {
					require.Equal(t, node.Waiting, open[e.OrderID])
					delete(open, e.OrderID)
				}
			case node.Shrunk, node.SessionEnded, node.Destroyed:
			}
		}
	}
	for i := range 2_000 {
		p.now += after(uint64(i % 7))
		switch from := pickFrom(froms, i); {
		case i%11 == 0:
			stream++
			apply(node.Attach{Stream: stream, TimeoutMillis: 20})
			froms = append(froms, node.From{Stream: stream, Session: uint64(stream)})
		case i%13 == 0:
			apply(node.Detach{Stream: from.Stream})
		case i%29 == 0:
			apply(node.Stop{From: from})
		case i%3 == 0:
			apply(node.Release{From: from, Semaphore: string(rune('a' + i%5))})
		default:
			apply(node.Acquire{
				From: from, Semaphore: string(rune('a' + i%5)), Count: 1<<64 - 1 - uint64(i%2), Ephemeral: true,
				TimeoutMillis: uint64(i % 40),
			})
		}
	}
	p.now = p.now.Add(time.Hour)
	for _, from := range froms {
		apply(node.Detach{Stream: from.Stream})
	}
	p.now = p.now.Add(time.Hour)
	apply(node.Tick{})
	require.Empty(t, open)
}

func pickFrom(froms []node.From, i int) node.From {
	if len(froms) == 0 {
		return node.From{}
	}

	return froms[len(froms)-1-i%min(len(froms), 6)]
}

// TestNode_NoEventsWithoutListener checks that nothing is collected for nobody.
func TestNode_NoEventsWithoutListener(t *testing.T) {
	t.Parallel()
	n := node.New()
	var fx node.Effects
	n.Apply(1, node.Attach{Stream: 1}, &fx)
	n.Apply(1, node.Acquire{From: node.From{Stream: 1, Session: 1}, Semaphore: "x", Count: 1, Ephemeral: true}, &fx)
	n.Apply(1, node.Stop{From: node.From{Stream: 1, Session: 1}}, &fx)
	require.Nil(t, fx.Events)
}

// TestNode_Drop checks that the links of a dropped node end.
func TestNode_Drop(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.apply(node.Attach{Stream: 1, TimeoutMillis: 60_000}, node.Attach{Stream: 2, TimeoutMillis: 60_000})
	for s := range uint64(2) {
		p.apply(node.Acquire{
			From: node.From{Stream: node.StreamID(s + 1), Session: s + 1}, Semaphore: "b", Count: 1<<64 - 1,
			TimeoutMillis: 50_000, Ephemeral: true,
		})
	}
	var fx node.Effects
	p.node.Drop(&fx)
	require.Len(t, fx.Events, 2)
	require.Equal(t, node.Ended, fx.Events[0].Kind)
	require.Equal(t, node.GaveUp, fx.Events[1].Kind)
	for i, e := range fx.Events {
		require.Equal(t, node.ByDrop, e.Cause)
		require.EqualValues(t, i+1, e.Session)
	}
}
