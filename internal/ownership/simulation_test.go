package ownership_test

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "run only the schedule with this seed; 0: run -sim.runs schedules")
	simRuns  = flag.Uint64("sim.runs", simulations, "number of schedules that TestSimulation runs")
	simFirst = flag.Uint64("sim.first", 1, "seed of the first schedule")
	simBreak = flag.String("sim.break", "", "with -sim.seed: how to break the design, e.g. 'old proofs'")
)

// TestSimulation runs servers beside a model of etcd in one goroutine. A seed determines each schedule. The checks are
// numbered V1 to V9. To run more schedules:
//
//	go test ./internal/ownership -run TestSimulation$ -timeout 0 -sim.runs 1000000 -sim.first 100000
func TestSimulation(t *testing.T) {
	t.Parallel()
	if *simSeed != 0 {
		w := newWorld(*simSeed, breaks(*simBreak))
		w.trace = os.Stderr
		err := w.run()
		t.Logf("%+v", w.hit)
		require.NoError(t, err)

		return
	}
	var all faults
	for seed := *simFirst; seed < *simFirst+*simRuns; seed++ {
		w := newWorld(seed, intact)
		require.NoErrorf(t, w.run(), "replay: go test ./internal/ownership -run TestSimulation$ -v -sim.seed %d", seed)
		all.add(w.hit)
	}
	t.Logf("%d schedules: %+v", *simRuns, all)
	if *simRuns >= 1_000 {
		require.NoError(t, all.missing(), "every fault must happen at least once")
	}
}

// TestSimulation_NoticesBreaks breaks the design on purpose, in one way at a time.
func TestSimulation_NoticesBreaks(t *testing.T) {
	t.Parallel()
	for _, b := range allBreaks {
		t.Run(string(b), func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= simulations; seed++ {
				if err := newWorld(seed, b).run(); err != nil {
					t.Logf("noticed after %d schedules: %v", seed, err)

					return
				}
			}
			t.Errorf("%d schedules did not notice it", simulations)
		})
	}
}

// TestSimulation_Replays shows that a seed determines the whole schedule.
func TestSimulation_Replays(t *testing.T) {
	t.Parallel()
	var traces [2]strings.Builder
	for i := range traces {
		w := newWorld(3, intact)
		w.trace = io.Writer(&traces[i])
		require.NoError(t, w.run())
		fmt.Fprintf(&traces[i], "%+v", w.hit)
	}
	require.Equal(t, traces[0].String(), traces[1].String())
}
