package bench

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"tenure/test/embedded"
)

// rest is the time between two kills: whose stream breaks again within a second of its making pauses before the next.
const rest = 1100 * time.Millisecond

const task = "lock"

func contenderCounts() []int {
	if testing.Short() {
		return []int{2}
	}

	return []int{2, 8}
}

// BenchmarkTakeover measures from the kill of the process that has a lock of the embedded server, which hosts that or
// not, until the next contender works; or from the kill of one that hosts it, and nothing else, until the server
// answers to the holder again. Sessions have a timeout of ten seconds, for which nobody should wait.
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
	if killed == embedded.AsHost { // the holder asks all the time
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
		at := c.UntilEvent("the kill", time.Second, behind, func(e embedded.Event) bool { return e.Verb == embedded.Kill }).At
		e := c.UntilEvent("work goes on", time.Minute, behind, func(e embedded.Event) bool {
			return e.Verb == next && e.At > at
		})
		samples = append(samples, e.At.Sub(at))
		c.Start()
	}
	b.ReportMetric(0, "ns/op") // it would count what the test does meanwhile
	reportLatency(b, samples)
}

// settle waits until all contenders wait but the holder, and have done so for a while, and the holder is the host or is
// not, as wanted. It returns who is to be killed.
func settle(c *embedded.Crew, killed string, contenders int) *embedded.Process {
	c.Until("all have asked", time.Minute, func() bool {
		return c.History.Asking() == contenders-1 && c.Holder(task) != nil
	})
	for deadline := time.Now().Add(rest); ; {
		c.Until("there are a host and a holder", time.Minute, func() bool { return c.Host() != nil && c.Holder(task) != nil })
		host, holder := c.Host(), c.Holder(task)
		if (host == holder) != (killed == embedded.AsHostHolder) {
			turn := c.History.Turns
			c.Signal(holder, syscall.SIGUSR1)
			c.Until("another has it", time.Minute, func() bool { return c.History.Turns > turn })
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
