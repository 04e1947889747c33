package bench

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"tenure/bench/benchtest"
	"tenure/test/embedded"
)

// rest is the minimum time between two kills. A client whose stream breaks within a second of its start pauses before
// it opens the next one.
const rest = 1100 * time.Millisecond

const task = "lock"

func contenderCounts() []int {
	if testing.Short() {
		return []int{2}
	}

	return []int{2, 8}
}

// BenchmarkTakeover kills a process that uses the embedded server and measures the time until work continues. If the
// killed process holds the lock (and hosts the server or not), that is until the next contender works. If it only hosts
// the server, that is until the server answers the holder again. Sessions have a timeout of 10s, and no process should
// have to wait that long.
func BenchmarkTakeover(b *testing.B) {
	for _, n := range contenderCounts() {
		for _, killed := range []string{embedded.AsHostHolder, embedded.AsHolder, embedded.AsHost} {
			b.Run(fmt.Sprintf("killed=%s/contenders=%d", killed, n), func(b *testing.B) { benchmarkTakeover(b, killed, n) })
		}
	}
}

func benchmarkTakeover(b *testing.B, killed string, contenders int) {
	b.Helper()
	model := embedded.Contender{Role: embedded.Holder, Tasks: []string{task}, Timeout: 10 * time.Second}
	next := embedded.Begin
	if killed == embedded.AsHost { // the holder sends requests all the time
		model.Confirm, model.Pace = true, time.Millisecond
		next = embedded.Work
	}
	c := embedded.NewCrew(b, model)
	for range contenders {
		c.Start()
	}
	var samples []time.Duration
	for b.Loop() {
		b.StopTimer()
		victim := settle(c, killed, contenders)
		behind := len(c.Events)
		b.StartTimer()
		c.Kill(victim)
		at := c.UntilEvent("the kill is recorded", time.Second, behind, func(e embedded.Event) bool {
			return e.Verb == embedded.Kill
		}).At
		e := c.UntilEvent("work continues", time.Minute, behind, func(e embedded.Event) bool {
			return e.Verb == next && e.At > at
		})
		samples = append(samples, e.At.Sub(at))
		c.Start()
	}
	b.ReportMetric(0, "ns/op") // would include the work of the benchmark itself
	benchtest.ReportLatency(b, samples)
}

// settle waits until all contenders but the holder have waited for some time. It passes the lock on until the holder is
// the host, or is not, as killed requires. It returns the process to kill.
func settle(c *embedded.Crew, killed string, contenders int) *embedded.Process {
	c.Until("all other contenders wait", time.Minute, func() bool {
		return c.History.Asking() == contenders-1 && c.Holder(task) != nil
	})
	for deadline := time.Now().Add(rest); ; {
		c.Until("there is a host and a holder", time.Minute, func() bool { return c.Host() != nil && c.Holder(task) != nil })
		host, holder := c.Host(), c.Holder(task)
		if (host == holder) != (killed == embedded.AsHostHolder) {
			turn := c.History.Turns
			c.Signal(holder, syscall.SIGUSR1)
			c.Until("another contender has the lock", time.Minute, func() bool { return c.History.Turns > turn })
			continue
		}
		if left := time.Until(deadline); left > 0 {
			time.Sleep(left)
			continue
		}
		if killed == embedded.AsHost {
			return host
		}

		return holder
	}
}
