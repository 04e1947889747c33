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
	"tenure/internal/programs"
)

var (
	killsFlag = flag.Int("kills", 0,
		"number of processes that a chaos test kills; 0 means 200, 40 with -race, or 20 with -short")
	seedFlag = flag.Uint64("seed", 0, "random seed of the chaos tests; 0 means a new one for each run")
	logsFlag = flag.Bool("logs", false, "print the contenders' logs if a chaos test fails")
)

const (
	crowd = 8 // contenders

	// tooLong is the longest acceptable gap after the death of a process. A longer gap means that the others waited for a
	// session timeout, or for something as bad. On a quiet machine a gap takes milliseconds (see docs/benchmarks.md), but
	// these tests use every processor that they get.
	tooLong      = 15 * time.Second
	chaosTimeout = 2 * tooLong
)

// chaos is a crew whose processes are killed at random.
type chaos struct {
	*Crew

	rng   *rand.Rand
	kills int // still to do
}

// newChaos starts a crew of crowd contenders.
func newChaos(t *testing.T, model Contender) *chaos {
	t.Helper()
	seed, kills := *seedFlag, *killsFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	if kills == 0 {
		kills = 200
		switch {
		case testing.Short():
			kills = 20
		case programs.Raced(): // each process then takes several times as much processor time
			kills = 40
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

// strike kills one or two processes, or asks them to end, and starts others in their place.
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

// choose picks a kind of victim at random and waits until there are victims of that kind.
func (c *chaos) choose() (victims []*Process) {
	c.tb.Helper()
	kind, which, other := c.rng.IntN(10), c.rng.IntN(1_000_000), c.rng.IntN(1_000_000)
	if c.kills == 1 {
		kind = min(kind, 8)
	}
	c.Until("there is a process to kill", soon, func() bool {
		host := c.Host()
		holds := func(p *Process) bool { return c.History.works(p.Who) }
		holder := c.pick(which, holds)
		switch {
		case kind < 3:
			victims = []*Process{host}
		case kind < 6:
			victims = []*Process{holder}
		case kind < 8 && host != nil && (holds(host) || len(c.model.Tasks) > 1): // a worker that hosts may never get a task
			victims = []*Process{host}
		case kind == 8:
			waiter := c.pick(which, func(p *Process) bool { return p != host && !holds(p) })
			if waiter == nil { // all processes have tasks
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

// pick returns a living process that satisfies as, or nil if there is none.
func (c *chaos) pick(which int, as func(*Process) bool) *Process {
	ps := slices.DeleteFunc(c.Living(), func(p *Process) bool { return !as(p) })
	if len(ps) == 0 {
		return nil
	}

	return ps[which%len(ps)]
}

// varied makes every other Locker a Holder.
func varied(c *Contender) {
	if c.Role == Locker && c.Who%2 == 0 {
		c.Role = Holder
	}
}

// end ends all processes. It requires that no task was lost and that no semaphore is left on the server.
func (c *chaos) end() {
	c.tb.Helper()
	c.Stop(c.Living()...)
	require.Zero(c.tb, c.History.lost, "lost tasks")
	require.Empty(c.tb, c.History.struck)

	client, err := tenure.Open(c.tb.Context(), tenure.Embedded, tenure.WithDir(c.model.Dir))
	require.NoError(c.tb, err)
	session, err := client.Session(c.tb.Context(), Node)
	require.NoError(c.tb, err)
	for _, task := range c.model.Tasks { // they are ephemeral and exist while a session owns or waits for them
		_, err := session.DescribeSemaphore(c.tb.Context(), task)
		require.True(c.tb, ydb.IsOperationError(err, Ydb.StatusIds_NOT_FOUND), "%s: %v", task, err)
	}
	require.NoError(c.tb, client.Close(c.tb.Context()))
}

// report logs for how long no process worked, and requires that no process has waited for a session timeout.
func (c *chaos) report() {
	c.tb.Helper()
	c.tb.Logf("%d turns, killed: %v", c.History.Turns, c.History.kills)
	for what, gaps := range c.History.Gaps {
		slices.Sort(gaps)
		at := func(q int) time.Duration { return gaps[(len(gaps)*q+99)/100-1].Round(100 * time.Microsecond) }
		c.tb.Logf("gap after the kill of the %s: p50 %v, p99 %v, max %v, of %d",
			what, at(50), at(99), at(100), len(gaps))
		require.Less(c.tb, at(100), tooLong, what)
	}
}

// Whichever processes are killed, one process at a time holds the lock, each gets its turn, and none waits for a
// session timeout.
func TestLock_Kills(t *testing.T) {
	t.Parallel()
	c := newChaos(t, Contender{
		Role: Locker, Tasks: []string{"lock"}, Hold: 40 * time.Millisecond, Pace: 3 * time.Millisecond,
	})
	for c.kills > 0 {
		turn := c.History.Turns + c.rng.IntN(4)
		c.Until("other processes have had their turns", soon, func() bool { return c.History.Turns >= turn })
		c.strike()
	}
	turn := c.History.Turns
	c.Until("every process has had a turn", soon, func() bool {
		return c.pick(0, func(p *Process) bool { return c.History.last[p.Who] <= turn }) == nil
	})
	c.end()
	c.report()
}

// Whichever processes are killed, each task runs in one process at a time, and starts again soon in another process.
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
