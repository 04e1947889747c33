package pool_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/clock"
	"tenure/internal/pool"
	"tenure/internal/roster"
)

// A bench drives one core by hand. Its steps are text.
type bench struct {
	*pool.Core

	t     *testing.T
	now   clock.Instant
	tasks map[string]*pool.Task
	said  []string
}

func newBench(t *testing.T, c pool.Config, specs []pool.Spec) *bench {
	t.Helper()
	c.Worker = "me"
	b := &bench{Core: pool.New(c), t: t, now: 1, tasks: map[string]*pool.Task{}}
	b.SetTasks(b.now, specs)
	require.Empty(t, b.steps())

	return b
}

// join opens a session, shows the members to the core and lets the calm pass.
func (b *bench) join(session uint64, others ...roster.Member) {
	b.Open(b.now, session)
	b.View(b.now, others)
	b.pass(time.Second)
}

// pass lets time pass, in small steps.
func (b *bench) pass(d time.Duration) {
	for end := b.now.Add(d); b.now < end; {
		b.now = b.now.Add(5 * time.Millisecond)
		if wake := b.Wake(); wake != 0 && b.now >= wake {
			b.Tick(b.now)
		}
	}
}

// steps returns the new steps, except what only informs people and other workers. It answers announcements.
func (b *bench) steps() []string {
	var all []string
	for steps := b.Take(); len(steps) > 0; steps = b.Take() {
		for _, step := range steps {
			switch step := step.(type) {
			case pool.Announce:
				b.Announced(b.now, b.Epoch(), nil)
			case pool.Ask:
				all = append(all, b.name("ask", step.Task))
			case pool.Leave:
				all = append(all, b.name("leave", step.Task))
			case pool.Start:
				all = append(all, b.name("start", step.Task))
			case pool.Stop:
				all = append(all, b.name("stop", step.Task))
			case pool.Write:
				all = append(all, b.name("write", step.Task))
			case pool.Release:
				all = append(all, b.name("release", step.Task))
			case pool.Tell:
				b.said = append(b.said, fmt.Sprintf("%T%v", step.Event, step.Event))
			}
		}
	}

	return all
}

func (b *bench) name(what string, t *pool.Task) string {
	b.tasks[t.Name] = t

	return what + " " + strings.TrimPrefix(t.Name, "task-0000")
}

func (b *bench) task(n int) *pool.Task { return b.tasks[fmt.Sprintf("task-%05d", n)] }

func (b *bench) grant(n int) { b.Granted(b.now, b.task(n), roster.Record{}, 0) }

// other returns a member without tasks.
func (b *bench) other(name string, specs []pool.Spec) roster.Member {
	digest := pool.Digest(specs)

	return roster.Member{Session: 99, Token: 99, Announcement: roster.Announcement{
		Worker: name, Mode: roster.Balanced, Capacity: 2, Digest: digest, Timeout: roster.Millis(10 * time.Second),
	}}
}

// W1: a cancelled acquire counts until it has returned, because it may have been granted before.
func TestCore_CancelledAcquiresCount(t *testing.T) {
	t.Parallel()
	b := newBench(t, usual(1), tasks(2))
	b.join(1)
	require.Equal(t, []string{"ask 1"}, b.steps())
	b.SetTasks(b.now, tasks(1))
	require.Equal(t, []string{"leave 1"}, b.steps())
	b.pass(time.Second)
	require.Empty(t, b.steps(), "task 1 may have been granted")
	b.Missed(b.now, b.task(1), nil)
	require.Equal(t, []string{"ask 0"}, b.steps())
}

// W1: if weights grow, the worker gives tasks back until the rest fits.
func TestCore_WeightsGrow(t *testing.T) {
	t.Parallel()
	for _, greedy := range []bool{false, true} {
		c := usual(3)
		c.Greedy = greedy
		b := newBench(t, c, tasks(3))
		b.join(1)
		b.steps()
		for i := range 3 {
			b.grant(i)
		}
		require.Equal(t, []string{"start 0", "start 1", "start 2"}, b.steps())
		specs := tasks(3)
		specs[0].Weight = 2
		b.SetTasks(b.now, specs)
		b.pass(time.Second)
		require.Len(t, b.steps(), 1, "one task stops")
		require.Len(t, b.Running(), 3)
	}
}

// W1: a function that still runs after a loss keeps its share of the capacity, and its task is not asked for.
func TestCore_StuckFunctionKeepsItsSlot(t *testing.T) {
	t.Parallel()
	b := newBench(t, usual(1), tasks(2))
	b.join(1)
	b.steps()
	b.grant(1)
	require.Equal(t, []string{"start 1"}, b.steps())
	b.Shut(b.now)
	require.True(t, b.Still())
	b.join(2)
	b.pass(time.Minute)
	require.Empty(t, b.steps())
	require.Contains(t, strings.Join(b.said, "\n"), "pool.Stuck{task-00001 1s}")
	b.Ended(b.now, b.task(1), pool.Result{Told: true})
	b.pass(time.Second)
	require.Len(t, b.steps(), 1, "there is room again")
}

// W2: a worker does not ask again before its acquire has returned, also not in a new session. A lease of an earlier
// session is not taken for one of the new session.
func TestCore_LateGrantOfAnEarlierSession(t *testing.T) {
	t.Parallel()
	b := newBench(t, usual(1), tasks(1))
	b.join(1)
	require.Equal(t, []string{"ask 0"}, b.steps())
	b.Shut(b.now)
	require.Equal(t, []string{"leave 0"}, b.steps())
	require.False(t, b.Still())
	b.join(2)
	require.Empty(t, b.steps())
	b.grant(0)
	b.pass(time.Second)
	require.Equal(t, []string{"ask 0"}, b.steps(), "it neither runs nor is released")
}

// W2: a task that was removed from the list and added again starts only after its release.
func TestCore_RemovedAndAdded(t *testing.T) {
	t.Parallel()
	b := newBench(t, usual(1), tasks(1))
	b.join(1)
	b.steps()
	b.grant(0)
	b.steps()
	b.SetTasks(b.now, nil)
	require.Equal(t, []string{"stop 0"}, b.steps())
	b.SetTasks(b.now, tasks(1))
	b.pass(time.Second)
	require.Empty(t, b.steps())
	b.Ended(b.now, b.task(0), pool.Result{Told: true, Held: true})
	b.pass(time.Second)
	require.Equal(t, []string{"release 0"}, b.steps())
	b.Released(b.now, b.task(0))
	b.pass(time.Second)
	require.Equal(t, []string{"ask 0"}, b.steps())
}

// W3: a worker asks for nothing before it has seen the announcements, and then waits for a moment, so that workers that
// start together share the tasks.
func TestCore_AsksAfterACalm(t *testing.T) {
	t.Parallel()
	specs := tasks(4)
	b := newBench(t, usual(4), specs)
	b.Open(b.now, 1)
	b.pass(time.Minute)
	require.Empty(t, b.steps())
	b.View(b.now, nil)
	b.pass(10 * time.Millisecond)
	b.View(b.now, []roster.Member{b.other("you", specs)})
	b.pass(10 * time.Millisecond)
	require.Empty(t, b.steps())
	b.pass(50 * time.Millisecond)
	require.Len(t, b.steps(), 3, "in proportion to the capacities")
}

// W4: the record is written before the task is released.
func TestCore_RecordBeforeRelease(t *testing.T) {
	t.Parallel()
	c := usual(1)
	c.Once, c.Retries = true, 0
	for _, err := range []error{nil, errors.New("it has failed")} {
		b := newBench(t, c, tasks(1))
		b.join(1)
		b.steps()
		b.grant(0)
		require.Equal(t, []string{"start 0"}, b.steps())
		b.Ended(b.now, b.task(0), pool.Result{Err: err, Held: true})
		require.Equal(t, []string{"write 0"}, b.steps())
		b.pass(time.Minute)
		require.Empty(t, b.steps())
		b.Written(b.now, b.task(0), nil)
		require.Equal(t, []string{"release 0"}, b.steps())
		failed, finished := b.Finished()
		require.True(t, finished)
		require.Equal(t, err != nil, len(failed) > 0)
	}
}

// A grant that arrives although the target has changed is kept if there is room, because the others adapt.
func TestCore_KeepsAGrant(t *testing.T) {
	t.Parallel()
	specs := tasks(2)
	b := newBench(t, usual(2), specs)
	b.join(1)
	require.Equal(t, []string{"ask 0", "ask 1"}, b.steps())
	b.View(b.now, []roster.Member{b.other("you", specs)})
	b.pass(time.Second)
	left := b.steps()
	require.Len(t, left, 1)
	n := 0
	if left[0] == "leave 1" {
		n = 1
	}
	b.grant(n)
	require.Contains(t, b.steps(), fmt.Sprint("start ", n))
}

// An announcement that failed is sent again while the session lives.
func TestCore_AnnouncesAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, usual(1), tasks(1))
	b.join(1)
	b.steps()
	b.grant(0)
	announced := func() (n int) {
		for _, step := range b.Take() {
			if _, ok := step.(pool.Announce); ok {
				n++
			}
		}

		return n
	}
	b.pass(time.Second)
	require.Equal(t, 1, announced())
	b.Announced(b.now, b.Epoch(), errTask)
	b.pass(2 * time.Second)
	require.Equal(t, 1, announced())
	b.Announced(b.now, b.Epoch(), nil)
	b.pass(2 * time.Second)
	require.Zero(t, announced())
}

// A task that the server refuses moves no other task, and is tried again.
func TestFigures_Refused(t *testing.T) {
	t.Parallel()
	s := steady(9)
	s.refused = map[string]bool{s.specs[4].Name: true}
	w := newWorld(1, s)
	require.NoError(t, w.guard(func() {
		w.launch(2, 0, usual(4))
		w.run(10 * time.Minute)
	}))
	require.Equal(t, []int{4, 4}, w.spread())
	require.Len(t, w.begun, 8)
	require.Greater(t, w.count.Acquires, 8)
}
