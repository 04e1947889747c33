//go:build unix

package embedded

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	theLock = "lock"
	rounds  = 20
)

// newQueue starts so many contenders for one lock, which give it up when they are told to.
func newQueue(t *testing.T, n int, model Contender) *Crew {
	t.Helper()
	model.Role, model.Tasks = Holder, []string{theLock}
	c := NewCrew(t, model)
	for range n {
		c.Start()
	}
	c.settle(n)

	return c
}

// settle waits until there are a host, and a holder, and the others of n wait.
func (c *Crew) settle(n int) (host, holder *Process) {
	c.tb.Helper()
	c.Until("the others wait", soon, func() bool {
		if host, holder = c.Host(), c.Holder(theLock); host == nil || holder == nil {
			return false
		}
		_, waiting, ok := c.look(theLock)

		return ok && len(waiting) == n-1
	})

	return host, holder
}

// pass has the holder give the lock to the next, and queue again.
func (c *Crew) pass() {
	c.tb.Helper()
	turn := c.History.Turns
	c.Signal(c.Holder(theLock), syscall.SIGUSR1)
	c.Until("another has the lock", soon, func() bool { return c.History.Turns > turn })
}

// holderThat passes the lock on until the holder among n hosts the server, or does not, as wanted.
func (c *Crew) holderThat(n int, hosts bool) *Process {
	c.tb.Helper()
	host, holder := c.settle(n)
	for (host == holder) != hosts {
		c.pass()
		host, holder = c.settle(n)
	}

	return holder
}

// works waits until the process works after everything that has happened so far.
func (c *Crew) works(p *Process) Event {
	c.tb.Helper()
	c.Follow()

	return c.UntilEvent(fmt.Sprint(p.Who, " works"), soon, len(c.Events), func(e Event) bool {
		return e.Who == p.Who && e.Verb == Work
	})
}

// A lease is not lost when the host is killed, nor when it ends in order: its session finds the next host, and the
// server there says that it has its token still.
func TestHost_LeaseOutlivesIt(t *testing.T) {
	t.Parallel()
	const n = 5
	for name, end := range map[string]func(*Crew, ...*Process){"killed": (*Crew).Kill, "stopped": (*Crew).Stop} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newQueue(t, n, Contender{Timeout: 10 * time.Second, Pace: time.Millisecond, Confirm: true})
			var gaps []time.Duration
			for range rounds {
				holder := c.holderThat(n, false)
				ended := time.Now()
				end(c, c.Host())
				c.works(holder)
				gaps = append(gaps, time.Since(ended))
				require.Same(t, holder, c.Holder(theLock))
				c.Start()
			}
			require.Zero(t, c.History.lost)
			slices.Sort(gaps)
			t.Logf("answered by the next host: median %v, longest %v", gaps[rounds/2], gaps[rounds-1])
		})
	}
}

// When the host is asked to end, everybody keeps its place, and if it was the holder the next one works soon.
func TestHost_EndsInOrder(t *testing.T) {
	const n = 5
	c := newQueue(t, n, Contender{Timeout: 10 * time.Second, Pace: 5 * time.Millisecond})
	var gaps []time.Duration
	for round := range rounds {
		holder := c.holderThat(n, round%2 == 0)
		host := c.Host()
		owner, waiting, _ := c.look(theLock)
		turn := c.History.Turns
		c.Stop(host)
		if host == holder {
			c.Until("the next one works", soon, func() bool { return c.History.Turns > turn })
			gaps = append(gaps, c.lastGap())
			owner, waiting = waiting[0], waiting[1:]
		} else {
			c.works(holder)
		}
		var now link
		var then []link
		c.Until("the others are back", soon, func() (ok bool) {
			now, then, ok = c.look(theLock)

			return ok
		})
		require.Equal(t, owner, now)
		require.Subset(t, waiting, then)
		require.Len(t, then, n-2)
		require.True(t, slices.IsSortedFunc(then, func(a, b link) int { return int(a.order) - int(b.order) }))
		c.Start()
	}
	require.Zero(t, c.History.lost)
	slices.Sort(gaps)
	median, longest := gaps[len(gaps)/2], gaps[len(gaps)-1]
	t.Logf("from one's work to the next one's: median %v, longest %v, of %d", median, longest, len(gaps))
	require.Less(t, median, 100*time.Millisecond)
	require.Less(t, longest, tooLong)
}

// lastGap returns the time between the last begin and the end before it.
func (c *Crew) lastGap() time.Duration {
	c.tb.Helper()
	var begin Event
	for _, e := range slices.Backward(c.Events) {
		switch {
		case e.Verb == Begin && begin.At == 0:
			begin = e
		case e.Verb == End && begin.At != 0:
			return begin.At.Sub(e.At)
		}
	}
	require.FailNow(c.tb, "nobody has ended")

	return 0
}
