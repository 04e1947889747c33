package node_test

import (
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"time"

	"tenure/internal/clock"
	"tenure/internal/node"
)

// population applies requests to a node and keeps only the effects of the last one.
type population struct {
	*node.Node
	now clock.Instant
	fx  node.Effects
}

func newPopulation() *population { return &population{Node: node.New(), now: 1} }

func (p *population) do(r node.Request) {
	p.fx = node.Effects{Changes: p.fx.Changes[:0], Replies: p.fx.Replies[:0]}
	p.Apply(p.now, r, &p.fx)
}

// attach creates sessions 1 to n, each attached to the stream with the same number.
func (p *population) attach(n int, timeout time.Duration) {
	for i := range n {
		p.do(node.Attach{Stream: node.StreamID(i + 1), TimeoutMillis: uint64(timeout.Milliseconds())})
	}
}

// hold creates n sessions, each of which owns a semaphore.
func (p *population) hold(n int) {
	p.attach(n, time.Minute)
	for i := range n {
		p.do(node.Acquire{From: from(i + 1), Semaphore: "of " + strconv.Itoa(i+1), Count: 1, Ephemeral: true})
	}
}

func from(i int) node.From { return node.From{Stream: node.StreamID(i), Session: uint64(i)} }

// BenchmarkNode_AcquireRelease measures one session that acquires and releases its own semaphore, in a node where other
// sessions hold theirs.
func BenchmarkNode_AcquireRelease(b *testing.B) {
	for _, others := range []int{0, 1_000, 100_000} {
		b.Run(fmt.Sprintf("others=%d", others), func(b *testing.B) {
			p := newPopulation()
			p.attach(others+1, time.Minute)
			for i := range others {
				p.do(node.Acquire{From: from(i + 2), Semaphore: "of " + strconv.Itoa(i+2), Count: 1, Ephemeral: true})
			}
			p.do(node.Create{From: from(1), Semaphore: "mine", Limit: 1})
			b.ReportAllocs()
			for b.Loop() {
				p.do(node.Acquire{From: from(1), Semaphore: "mine", Count: 1, TimeoutMillis: node.Forever})
				p.do(node.Release{From: from(1), Semaphore: "mine"})
			}
		})
	}
}

// BenchmarkNode_HandOver measures a release that grants the semaphore to the first of many waiters. The previous owner
// then joins the queue again.
func BenchmarkNode_HandOver(b *testing.B) {
	for _, waiters := range []int{10, 1_000, 100_000} {
		b.Run(fmt.Sprintf("waiters=%d", waiters), func(b *testing.B) {
			p := newPopulation()
			p.attach(waiters+1, time.Minute)
			p.do(node.Create{From: from(1), Semaphore: "job", Limit: 1})
			acquire := func(i int) {
				p.do(node.Acquire{From: from(i), Semaphore: "job", Count: 1, TimeoutMillis: 86_400_000})
			}
			for i := range waiters + 1 {
				acquire(i + 1)
			}
			owner := 1
			b.ReportAllocs()
			for b.Loop() {
				p.do(node.Release{From: from(owner), Semaphore: "job"})
				if len(p.fx.Replies) != 2 {
					b.Fatalf("release by %d: %+v", owner, p.fx.Replies)
				}
				acquire(owner)
				owner = owner%(waiters+1) + 1
			}
		})
	}
}

// BenchmarkNode_Expiry measures the expiry of one owner among many detached ones. After each expiry a new owner joins
// and is detached in its turn.
func BenchmarkNode_Expiry(b *testing.B) {
	for _, sessions := range []int{10, 1_000, 100_000} {
		b.Run(fmt.Sprintf("sessions=%d", sessions), func(b *testing.B) {
			p := newPopulation()
			last := 0
			join := func() {
				last++
				p.do(node.Attach{Stream: node.StreamID(last), TimeoutMillis: 60_000})
				p.do(node.Acquire{From: from(last), Semaphore: "of " + strconv.Itoa(last), Count: 1, Ephemeral: true})
				p.now += 1000
				p.do(node.Detach{Stream: node.StreamID(last)})
			}
			for range sessions {
				join()
			}
			b.ReportAllocs()
			for b.Loop() {
				p.now = p.fx.Wake
				p.do(node.Tick{})
				if len(p.fx.Changes) != 3 { // the session, the link and the semaphore are deleted
					b.Fatalf("expiry: %+v", p.fx.Changes)
				}
				join()
			}
		})
	}
}

// BenchmarkNode_Load measures loading a node whose store contains held semaphores.
func BenchmarkNode_Load(b *testing.B) {
	const held = 100_000
	rs := records{}
	p := newPopulation()
	keep := func(r node.Request) { p.do(r); rs.commit(p.fx.Changes) }
	for i := range held {
		keep(node.Attach{Stream: node.StreamID(i + 1), TimeoutMillis: 60_000})
		keep(node.Acquire{From: from(i + 1), Semaphore: "of " + strconv.Itoa(i+1), Count: 1, Ephemeral: true})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := node.Load(1, node.Config{}, rs.all()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNode_Memory measures the heap in bytes for each of 100,000 sessions, semaphores without owners, held
// semaphores, or waiters, not counting the user's strings. The result does not depend on the number of iterations.
func BenchmarkNode_Memory(b *testing.B) {
	const many, queue = 100_000, 1_000
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)

		return m.HeapAlloc
	}
	names := make([]string, many)
	for i := range names {
		names[i] = "semaphore " + strconv.Itoa(i)
	}
	for b.Loop() {
		before := heap()
		p := newPopulation()
		p.attach(many, time.Minute)
		attached := heap()
		for i := range many {
			p.do(node.Detach{Stream: node.StreamID(i + 1)})
		}
		detached := heap()
		for i := range many {
			p.do(node.Attach{Stream: node.StreamID(many + i + 1), Session: uint64(i + 1), TimeoutMillis: 60_000})
		}
		idle := heap()
		for i, name := range names {
			p.do(node.Acquire{
				From: node.From{Stream: node.StreamID(many + i + 1), Session: uint64(i + 1)}, Semaphore: name,
				Count: 1, TimeoutMillis: 86_400_000, Ephemeral: true,
			})
		}
		held := heap()
		for i := range many {
			p.do(node.Acquire{
				From: node.From{Stream: node.StreamID(many + i + 1), Session: uint64(i + 1)}, Semaphore: names[(i/queue+1)%many],
				Count: 1, TimeoutMillis: 86_400_000, Ephemeral: true,
			})
		}
		waiting := heap()
		for i := range many {
			p.do(node.Create{
				From: node.From{Stream: many + 1, Session: 1}, Semaphore: names[i][len("sem"):], Limit: 1,
			})
		}
		free := heap()
		b.ReportMetric(float64(attached-before)/many, "B/session")
		b.ReportMetric(float64(detached-before)/many, "B/detached")
		b.ReportMetric(float64(held-idle)/many, "B/held")
		b.ReportMetric(float64(waiting-held)/many, "B/waiter")
		b.ReportMetric(float64(free-waiting)/many, "B/free")
		runtime.KeepAlive(p)
	}
	b.ReportMetric(0, "ns/op") // not meaningful here
}
