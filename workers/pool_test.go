package workers

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"tenure/internal/clock"
)

// A world simulates the shell and the service of one pool. Steps end in any order.
type world struct {
	*pool

	now     clock.Instant
	asked   map[int]bool // acquires that have not returned
	left    map[int]bool // those of them that are cancelled
	serving map[int]bool // functions that have not returned
	giving  map[int]bool // releases that have not returned
}

func newWorld(tasks, capacity int) *world {
	return &world{
		pool: newPool(tasks, capacity), now: 1,
		asked: map[int]bool{}, left: map[int]bool{}, serving: map[int]bool{}, giving: map[int]bool{},
	}
}

// perform carries out the pool's steps and checks that they and the states of the tasks are allowed.
func (w *world) perform(t require.TestingT) {
	for _, s := range w.take() {
		busy := w.asked[s.task] || w.serving[s.task] || w.giving[s.task]
		switch s.do {
		case ask:
			require.False(t, busy, "P4: the worker asks for task %d while an earlier step has not ended", s.task)
			w.asked[s.task] = true
		case leave:
			require.True(t, w.asked[s.task] && !w.left[s.task], "an acquire is cancelled once, while it is pending")
			w.left[s.task] = true
		case start:
			require.False(t, busy)
			require.True(t, w.opened, "nothing starts outside a term")
			w.serving[s.task] = true
		case release:
			require.False(t, busy)
			w.giving[s.task] = true
		}
	}
	require.LessOrEqual(t, len(w.serving), w.capacity, "P1")
	require.Len(t, w.serving, w.held)
	require.Equal(t, len(w.asked)+len(w.serving)+len(w.giving) == 0, w.still())
	for task, s := range w.states {
		wanted := w.asked[task] && !w.left[task]
		switch {
		case !w.opened || w.held == w.capacity:
			require.False(t, wanted, "P3: task %d", task)
		case s == resting:
			require.Greater(t, w.rests[task], clock.Instant(0))
		default:
			require.True(t, w.asked[task] || w.serving[task] || w.giving[task], "P2: task %d", task)
		}
	}
}

// pick returns one of the tasks of a set, or skips the action.
func pick(t *rapid.T, set map[int]bool) int {
	var tasks []int
	for task := range 16 {
		if set[task] {
			tasks = append(tasks, task)
		}
	}
	if len(tasks) == 0 {
		t.Skip("there are no such tasks")
	}

	return rapid.SampledFrom(tasks).Draw(t, "task")
}

func TestPool_KeepsItsInvariants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(rapid.IntRange(1, 8).Draw(t, "tasks"), rapid.IntRange(1, 8).Draw(t, "capacity"))
		until := func() clock.Instant {
			return rapid.SampledFrom([]clock.Instant{0, w.now + 1, w.now + 5}).Draw(t, "until")
		}
		t.Repeat(map[string]func(*rapid.T){
			"open": func(t *rapid.T) {
				if w.opened || !w.still() {
					t.Skip("not now")
				}
				w.open()
			},
			"shut": func(*rapid.T) { w.shut() },
			"granted": func(t *rapid.T) { // even if the acquire is cancelled
				task := pick(t, w.asked)
				delete(w.asked, task)
				delete(w.left, task)
				w.granted(task)
			},
			"missed": func(t *rapid.T) {
				task := pick(t, w.asked)
				delete(w.asked, task)
				delete(w.left, task)
				w.missed(task, until())
			},
			"ended": func(t *rapid.T) {
				task := pick(t, w.serving)
				delete(w.serving, task)
				w.ended(task)
			},
			"released": func(t *rapid.T) {
				task := pick(t, w.giving)
				delete(w.giving, task)
				w.released(task, until())
			},
			"tick": func(*rapid.T) {
				w.now += 2
				w.tick(w.now)
				require.True(t, w.wake() == 0 || w.wake() > w.now, "no rest is overdue after tick")
			},
			"": func(t *rapid.T) { w.perform(t) },
		})
	})
}

func TestPool_ReleasesSurplus(t *testing.T) {
	t.Parallel()
	p := newPool(3, 1)
	p.open()
	require.Equal(t, []step{{ask, 0}, {ask, 1}, {ask, 2}}, p.take())
	p.granted(1)
	require.Equal(t, []step{{start, 1}, {leave, 0}, {leave, 2}}, p.take())
	require.True(t, p.full())
	p.granted(0) // the grant and the cancellation crossed
	require.Equal(t, []step{{release, 0}}, p.take())
	p.released(0, 0)
	p.missed(2, 0)
	require.Empty(t, p.take(), "there is no room")
	p.ended(1)
	require.Equal(t, []step{{release, 1}, {ask, 0}, {ask, 2}}, p.take())
	p.released(1, 7)
	require.Empty(t, p.take(), "task 1 rests")
	require.Equal(t, clock.Instant(7), p.wake())
	p.tick(6)
	require.Empty(t, p.take())
	p.tick(7)
	require.Equal(t, []step{{ask, 1}}, p.take())
	require.Zero(t, p.wake())
}

// The pool accepts a grant that arrives after the acquire was cancelled, if there is room again.
func TestPool_GrantAfterCancel(t *testing.T) {
	t.Parallel()
	p := newPool(2, 1)
	p.open()
	p.granted(0)
	p.ended(0)
	p.take()
	p.granted(1)
	require.Equal(t, []step{{start, 1}}, p.take())
}
