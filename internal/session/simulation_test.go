package session_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "run only the schedule with this seed; 0: run -sim.runs schedules")
	simRuns  = flag.Uint64("sim.runs", simulations, "number of schedules that TestSimulation runs")
	simFirst = flag.Uint64("sim.first", 1, "seed of the first schedule")
	simTrace = flag.Bool("sim.trace", false, "print the events of the schedule of -sim.seed")
)

// TestSimulation runs clients, a node, its front servers and the network between them in one goroutine. A seed
// determines each schedule. After every event the test checks that no client treats a lease as held that the node has
// granted to another one (see world.check). To run more schedules:
//
//	go test ./internal/session -run TestSimulation -timeout 0 -sim.runs 1000000 -sim.first 100000
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
	hits, left := make([]faults, shards), make([]int, shards)
	t.Cleanup(func() { // after all shards
		var all faults
		var ended int
		for i, h := range hits {
			all.add(h)
			ended += left[i]
		}
		t.Logf("%d schedules: %+v, %d lost sessions ended", runs, all, ended)
		if runs >= 100 && !t.Failed() {
			require.NoError(t, all.missing(), "every fault must happen at least once")
			require.NotZero(t, ended)
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
				left[shard] += w.left
			}
		})
	}
}

// TestSimulation_Replays shows that a seed determines the whole schedule.
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
