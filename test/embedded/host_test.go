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

const theLock = "lock"

// rounds returns how often a test ends the host.
func rounds() int {
	if testing.Short() {
		return 4
	}

	return 20
}

// newQueue starts n contenders for one lock. Each keeps the lock until it gets SIGUSR1.
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

// settle waits until there is a host and a holder, and the other n-1 contenders wait. It returns the host and the
// holder.
func (c *Crew) settle(n int) (host, holder *Process) {
	c.tb.Helper()
	c.Until("there is a holder and the others wait", soon, func() bool {
		if host, holder = c.Host(), c.Holder(theLock); host == nil || holder == nil {
			return false
		}
		_, waiting, ok := c.look(theLock)

		return ok && len(waiting) == n-1
	})

	return host, holder
}

// pass makes the holder release the lock to the next waiter and queue again.
func (c *Crew) pass() {
	c.tb.Helper()
	turn := c.History.Turns
	c.Signal(c.Holder(theLock), syscall.SIGUSR1)
	c.Until("another contender has the lock", soon, func() bool { return c.History.Turns > turn })
}

// holderThat passes the lock on among n contenders until the holder hosts the server, or does not, as hosts says. It
// returns the holder.
func (c *Crew) holderThat(n int, hosts bool) *Process {
	c.tb.Helper()
	host, holder := c.settle(n)
	for (host == holder) != hosts {
		c.pass()
		host, holder = c.settle(n)
	}

	return holder
}

// works waits for the next Work event of the process.
func (c *Crew) works(p *Process) Event {
	c.tb.Helper()
	c.Follow()

	return c.UntilEvent(fmt.Sprint(p.Who, " works"), soon, len(c.Events), func(e Event) bool {
		return e.Who == p.Who && e.Verb == Work
	})
}

// A lease survives when the host is killed or shuts down cleanly. Its session finds the next host, where the server
// confirms that the lease still has the same token.
func TestHost_LeaseOutlivesIt(t *testing.T) {
	t.Parallel()
	const n = 5
	for name, end := range map[string]func(*Crew, ...*Process){"killed": (*Crew).Kill, "stopped": (*Crew).Stop} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newQueue(t, n, Contender{Timeout: 10 * time.Second, Pace: time.Millisecond, Confirm: true})
			var gaps []time.Duration
			for range rounds() {
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
			t.Logf("from the end of the host to the answer of the next: median %v, longest %v",
				gaps[len(gaps)/2], gaps[len(gaps)-1])
		})
	}
}

// When the host shuts down cleanly, the owner and the waiters keep their places. If the host was the holder, the next
// waiter works soon.
func TestHost_ShutsDownCleanly(t *testing.T) {
	const n = 5
	c := newQueue(t, n, Contender{Timeout: 10 * time.Second, Pace: 5 * time.Millisecond})
	var gaps []time.Duration
	for round := range rounds() {
		holder := c.holderThat(n, round%2 == 0)
		host := c.Host()
		var owner link
		var waiting []link
		c.Until("the host tells who waits", soon, func() (ok bool) {
			owner, waiting, ok = c.look(theLock)

			return ok
		})
		turn := c.History.Turns
		c.Stop(host)
		if host == holder {
			c.Until("the next waiter works", soon, func() bool { return c.History.Turns > turn })
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
	t.Logf("from the end of one holder's work to the next holder's start: median %v, longest %v, of %d",
		median, longest, len(gaps))
	require.Less(t, median, time.Second) // a waiter that is not told of the end asks again after several seconds
	require.Less(t, longest, tooLong)
}

// lastGap returns the time from the last End before the last Begin to that Begin.
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
	require.FailNow(c.tb, "no process has ended its work")

	return 0
}
