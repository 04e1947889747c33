package pool_test

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var simLarge = flag.Bool("sim.large", false, "let TestLarge run 10,000 tasks on 100 workers")

// TestLarge shows that the requests of a large pool grow with the number of tasks that move, and prints what it costs.
func TestLarge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tasks, workers int
		within         time.Duration
		greedy         bool
	}{
		{2_000, 20, 0, true},
		{2_000, 20, 20 * time.Second, false},
		{2_000, 20, 0, false},
		{10_000, 100, 0, false},
	} {
		if c.tasks > 2_000 && !*simLarge {
			continue
		}
		name := fmt.Sprintf("tasks=%d/workers=%d/within=%v/greedy=%v", c.tasks, c.workers, c.within, c.greedy)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(1, steady(c.tasks))
			config := usual(c.tasks / c.workers * 5 / 4)
			config.Greedy, config.Moves = c.greedy, 10
			require.NoError(t, w.guard(func() {
				w.launch(c.workers, c.within, config)
				w.run(c.within + time.Second)
				require.Equal(t, c.tasks, w.active)
				t.Logf("start: %+v", w.count)
				require.Zero(t, w.count.GivenBack)
				if c.greedy {
					return
				}
				w.run(settledDown)
				require.LessOrEqual(t, w.count.Acquires, c.tasks+2*w.count.Moves)
				all := w.spread()
				require.LessOrEqual(t, all[c.workers-1]-all[0], 1)

				before := w.count
				w.launch(c.workers/10, 0, config)
				w.run(settledDown)
				moved := w.count.since(before)
				t.Logf("%d workers join: %+v", c.workers/10, moved)
				require.LessOrEqual(t, moved.Moves, c.workers/10*(c.tasks/c.workers))
				require.LessOrEqual(t, moved.Acquires, moved.Moves+moved.Moves/10)
				require.LessOrEqual(t, slices.Max(w.spread())-w.spread()[0], 1)
			}))
		})
	}
}
