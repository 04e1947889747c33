//go:build unix

package embedded

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-sdk/v3"

	"tenure"
)

var (
	killsFlag = flag.Int("kills", 0, "how many times a test of chaos kills; 0: 200, with -short 20")
	seedFlag  = flag.Uint64("seed", 0, "of what a test of chaos chooses; 0: another one each time")
	logsFlag  = flag.Bool("logs", false, "show the contenders' logs if a test of chaos fails")
)

const (
	crowd = 8 // contenders

	// Who waits longer than tooLong for what a dead process held has waited for a timeout to end, or for something as
	// bad; half of all go on much sooner.
	tooLong      = 5 * time.Second
	tooLongMost  = time.Second
	chaosTimeout = 2 * tooLong
)

// chaos is a crew of which processes are killed at random, again and again.
type chaos struct {
	*Crew

	rng   *rand.Rand
	kills int // to go
}

// newChaos starts a crowd.
func newChaos(t *testing.T, model Contender) *chaos {
	t.Helper()
	seed, kills := *seedFlag, *killsFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	if kills == 0 {
		kills = 200
		if testing.Short() {
			kills = 20
		}
	}
	t.Logf("go test -run '^%s$' ./test/embedded -kills %d -seed %d", t.Name(), kills, seed)
	model.Seed, model.Timeout, model.Verbose = seed, chaosTimeout, *logsFlag
	c := &chaos{NewCrew(t, model), rand.New(rand.NewPCG(seed, 0)), kills}
	for range crowd {
		c.Start(varied)
	}

	return c
}

// strike kills one process or two, or asks one to end, and starts others in their places.
func (c *chaos) strike() {
	c.tb.Helper()
	victims := c.choose()
	if c.rng.IntN(10) == 0 {
		c.Stop(victims...)
	} else {
		c.kills -= len(victims)
		c.Kill(victims...)
	}
	for range victims {
		c.Start(varied)
	}
}

// choose waits until there are victims of the kind that is chosen.
func (c *chaos) choose() (victims []*Process) {
	c.tb.Helper()
	kind, which, other := c.rng.IntN(10), c.rng.IntN(1_000_000), c.rng.IntN(1_000_000)
	if c.kills == 1 {
		kind = min(kind, 8)
	}
	c.Until("there is somebody to be killed", soon, func() bool {
		host := c.Host()
		holds := func(p *Process) bool { return c.History.works(p.Who) }
		holder := c.pick(which, holds)
		switch {
		case kind < 3:
			victims = []*Process{host}
		case kind < 6:
			victims = []*Process{holder}
		case kind < 8 && host != nil && (holds(host) || len(c.model.Tasks) > 1): // with more, it may never be one
			victims = []*Process{host}
		case kind == 8:
			waiter := c.pick(which, func(p *Process) bool { return p != host && !holds(p) })
			if waiter == nil { // all have tasks
				waiter = holder
			}
			victims = []*Process{waiter}
		case kind == 9:
			first := []*Process{host, holder}[other%2]
			victims = []*Process{first, c.pick(other, func(p *Process) bool { return p != first })}
		}

		return len(victims) > 0 && !slices.Contains(victims, nil)
	})

	return victims
}

// pick returns one of those that are alive and as they should be; nil: there is none.
func (c *chaos) pick(which int, as func(*Process) bool) *Process {
	ps := slices.DeleteFunc(c.Living(), func(p *Process) bool { return !as(p) })
	if len(ps) == 0 {
		return nil
	}

	return ps[which%len(ps)]
}

// varied makes every other locker one that keeps its session.
func varied(c *Contender) {
	if c.Role == Locker && c.Who%2 == 0 {
		c.Role = Holder
	}
}

// end ends all, who must not have lost anything, and looks at what they leave.
func (c *chaos) end() {
	c.tb.Helper()
	c.Stop(c.Living()...)
	require.Zero(c.tb, c.History.lost, "tasks were lost")
	require.Empty(c.tb, c.History.struck)

	client, err := tenure.Open(c.tb.Context(), "", tenure.WithDir(c.model.Dir))
	require.NoError(c.tb, err)
	session, err := client.Session(c.tb.Context(), Node)
	require.NoError(c.tb, err)
	for _, task := range c.model.Tasks { // they are ephemeral: who owns or waits keeps them
		_, err := session.DescribeSemaphore(c.tb.Context(), task)
		require.True(c.tb, ydb.IsOperationError(err, Ydb.StatusIds_NOT_FOUND), "%s: %v", task, err)
	}
	require.NoError(c.tb, client.Close(c.tb.Context()))
}

// report tells for how long nobody worked, and asserts that nobody has waited for a timeout.
func (c *chaos) report() {
	c.tb.Helper()
	c.tb.Logf("killed: %v; turns: %d", c.History.kills, c.History.Turns)
	for what, gaps := range c.History.Gaps {
		slices.Sort(gaps)
		at := func(q int) time.Duration { return gaps[(len(gaps)*q+99)/100-1].Round(100 * time.Microsecond) }
		c.tb.Logf("without a holder after the end of the %s: p50 %v, p99 %v, max %v, of %d",
			what, at(50), at(99), at(100), len(gaps))
		require.Less(c.tb, at(50), tooLongMost, what)
		require.Less(c.tb, at(100), tooLong, what)
	}
}

// Whatever is killed, one at a time has the lock, everybody gets its turn, and nobody waits for a timeout.
func TestLock_Kills(t *testing.T) {
	t.Parallel()
	c := newChaos(t, Contender{
		Role: Locker, Tasks: []string{"lock"}, Hold: 40 * time.Millisecond, Pace: 3 * time.Millisecond,
	})
	for c.kills > 0 {
		turn := c.History.Turns + c.rng.IntN(4)
		c.Until("others have had their turns", soon, func() bool { return c.History.Turns >= turn })
		c.strike()
	}
	turn := c.History.Turns
	c.Until("everybody has had a turn", soon, func() bool {
		return c.pick(0, func(p *Process) bool { return c.History.last[p.Who] <= turn }) == nil
	})
	c.end()
	c.report()
}

// Whatever is killed, each task runs in one process at a time, and soon again in another one.
func TestWorkers_Kills(t *testing.T) {
	t.Parallel()
	model := Contender{Role: Worker, Capacity: 4, Pace: 20 * time.Millisecond}
	for i := range 2 * crowd {
		model.Tasks = append(model.Tasks, fmt.Sprint("job-", i))
	}
	c := newChaos(t, model)
	everything := func() bool {
		return !slices.ContainsFunc(model.Tasks, func(task string) bool { return c.Holder(task) == nil })
	}
	for c.kills > 0 {
		if c.rng.IntN(4) > 0 {
			c.Until("all tasks run", soon, everything)
		}
		c.strike()
	}
	c.Until("all tasks run", soon, everything)
	c.end()
	c.report()
}
