package session_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "run this schedule of TestSimulation only; 0: -sim.runs of them")
	simRuns  = flag.Uint64("sim.runs", simulations, "how many schedules TestSimulation runs")
	simFirst = flag.Uint64("sim.first", 1, "the seed of the first")
	simTrace = flag.Bool("sim.trace", false, "print what happens in the schedule of -sim.seed")
)

// TestSimulation runs clients, a node, its fronts and the network between them in one goroutine, each schedule from a
// seed, and checks after every event that nobody believes in what the node has given away (see world.check). A longer
// run: go test ./internal/session -run TestSimulation -timeout 0 -sim.runs 1000000 -sim.first 100000.
func TestSimulation(t *testing.T) {
	t.Parallel()
	if *simSeed != 0 {
		w := newWorld(*simSeed)
		if *simTrace {
			w.trace = os.Stderr
		}
		err := w.run()
		t.Logf("%+v", w.hit)
		require.NoError(t, err)

		return
	}

	const shards = 4
	runs := *simRuns
	if testing.Short() {
		runs = min(runs, 200)
	}
	hits := make([]faults, shards)
	t.Cleanup(func() { // when all shards have ended
		var all faults
		for _, h := range hits {
			all.add(h)
		}
		t.Logf("%d schedules: %+v", runs, all)
		if runs >= 100 && !t.Failed() {
			require.NoError(t, all.missing(), "a fault that never strikes shows nothing")
		}
	})
	for shard := range uint64(shards) {
		t.Run(fmt.Sprint(shard), func(t *testing.T) {
			t.Parallel()
			for i := shard; i < runs; i += shards {
				w := newWorld(*simFirst + i)
				require.NoErrorf(t, w.run(), "replay: go test ./internal/session -run 'TestSimulation$' -v -sim.trace -sim.seed %d",
					w.seed)
				hits[shard].add(w.hit)
			}
		})
	}
}

// TestSimulation_Replays shows that a seed is a whole schedule.
func TestSimulation_Replays(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		var traces [2]recorder
		for i := range traces {
			w := newWorld(seed + 1)
			w.trace = &traces[i]
			require.NoError(t, w.run())
		}
		require.NotZero(t, traces[0].lines)
		require.Equal(t, traces[0], traces[1])
	}
}
