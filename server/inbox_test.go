package server

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
)

// update is a request that costs a little more than size bytes.
func update(size int) input { return input{req: node.Update{Data: make([]byte, size)}} }

func (b *inbox) fill(t *testing.T, s *sender, size int) (accepted int) {
	t.Helper()
	for in := update(size); b.put(s, in) != full; accepted++ {
		require.Less(t, accepted, maxInboxBytes/size, "the inbox refuses nothing")
	}

	return accepted
}

// take takes everything, as if it were answered immediately.
func (b *inbox) takeAll() (all []input) {
	for {
		before := len(all)
		all = b.take(all, chunkBytes)
		b.answered()
		if len(all) == before {
			return all
		}
	}
}

// One stream cannot use up an inbox, nor the bytes of a server.
func TestInbox_LeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	var all inFlight
	b := newInbox(&all)
	senders := make([]sender, 72)
	for in, refusals := update(30<<10), 0; refusals < len(senders); {
		refusals = 0
		for i := range senders {
			if b.put(&senders[i], in) == full {
				refusals++
			}
		}
	}
	for i := range senders {
		require.InEpsilon(t, maxInboxBytes/(len(senders)+1), senders[i].waiting, 0.2, "stream %d", i)
	}
	require.Less(t, b.waiting, maxInboxBytes)

	others := make([]*inbox, 20)
	for i := range others {
		others[i] = newInbox(&all)
		require.Positive(t, others[i].fill(t, new(sender), 100<<10), "node %d", i)
	}
	require.LessOrEqual(t, all.bytes.Load(), int64(maxInFlightBytes))

	for _, b := range append(others, b) {
		b.takeAll()
	}
	require.Zero(t, b.waiting)
	require.LessOrEqual(t, all.bytes.Load(), int64(2*grantSize*(1+len(others))), "idle nodes give their share back")
	for _, b := range append(others, b) {
		b.close()
	}
	require.Zero(t, all.bytes.Load())
}

// A stream with few small requests is served, however full the inbox and the server are. So are all requests that begin
// and end sessions.
func TestInbox_AssuresSmallRequests(t *testing.T) {
	t.Parallel()
	var all inFlight
	b := newInbox(&all)
	for range 1_000 { // what is left shrinks with each stream
		b.fill(t, new(sender), 16<<10)
	}
	all.bytes.Add(maxInFlightBytes)

	honest := new(sender)
	require.Equal(t, full, b.put(honest, update(assured)))
	for i := range 48 {
		require.Equal(t, accepted, b.put(honest, input{req: node.Acquire{Semaphore: "job-" + strconv.Itoa(i)}}))
	}
	for b.put(honest, update(1)) != full {
	}
	for _, r := range []node.Request{node.Attach{}, node.Stop{}, node.Detach{}} {
		require.Equal(t, accepted, b.put(honest, input{req: r}), "%T", r)
	}
	require.Equal(t, full, b.put(honest, update(1)))
}

// The owner takes from each stream in turn, and keeps the order within a stream.
func TestInbox_TakesInTurn(t *testing.T) {
	t.Parallel()
	var all inFlight
	b := newInbox(&all)
	greedy, honest := new(sender), new(sender)
	for i := range 1_000 {
		require.Equal(t, accepted, b.put(greedy, input{req: node.Release{From: node.From{Stream: 1}, Req: uint64(i)}}))
	}
	require.Equal(t, accepted, b.put(honest, input{req: node.Release{From: node.From{Stream: 2}}}))

	place, next := -1, uint64(0)
	for i, in := range b.takeAll() {
		r := in.req.(node.Release)
		if r.Stream == 2 {
			place = i

			continue
		}
		require.Equal(t, next, r.Req)
		next++
	}
	require.EqualValues(t, 1_000, next)
	require.Less(t, place, 2*quantum/cost(node.Release{}))
}

// A stream that has been debited misses turns.
func TestInbox_Debit(t *testing.T) {
	t.Parallel()
	var all inFlight
	b := newInbox(&all)
	greedy, honest := new(sender), new(sender)
	b.put(greedy, input{req: node.Describe{}})
	b.put(greedy, input{req: node.Describe{}})
	require.Len(t, b.take(nil, 1), 1)
	b.debit(greedy, 10*quantum)
	for range 2_000 {
		b.put(honest, input{req: node.Release{}})
	}
	taken := b.takeAll()
	require.Len(t, taken, 2_001)
	for i, in := range taken {
		if _, ok := in.req.(node.Describe); ok {
			require.Greater(t, i, 1_000)
		}
	}
}

// An expiry comes after everything that has arrived before.
func TestInbox_Expiry(t *testing.T) {
	t.Parallel()
	var all inFlight
	b := newInbox(&all)
	s := new(sender)
	for range 10 {
		b.put(s, update(quantum))
	}
	b.putOwn(input{expiry: &expiry{}})
	taken := b.take(nil, 1)
	require.Len(t, taken, 11)
	require.NotNil(t, taken[10].expiry)
}

// An inbox that is ready once more has at most an empty turn.
func TestInbox_Ready(t *testing.T) {
	t.Parallel()
	var all inFlight
	b := newInbox(&all)
	s := new(sender)
	for range 3 {
		b.put(s, update(quantum))
	}
	for range 3 {
		require.Len(t, b.ready, 1)
		<-b.ready
		require.Len(t, b.take(nil, 1), 1)
	}
	require.Empty(t, b.ready, "it is empty")
	b.close()
	require.Equal(t, ended, b.put(s, update(1)))
	require.Empty(t, b.take(nil, 1))
}

// BenchmarkInbox measures what a request pays for its way through an inbox.
func BenchmarkInbox(b *testing.B) {
	var all inFlight
	in := input{req: node.Release{Semaphore: "job"}}
	box, s := newInbox(&all), new(sender)
	var chunk []input
	b.ReportAllocs()
	for b.Loop() {
		box.put(s, in)
		chunk = box.take(chunk[:0], chunkBytes)
		box.answered()
	}
}
