package pool_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/pool"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "run only the schedule with this seed; 0: run -sim.runs schedules")
	simRuns  = flag.Uint64("sim.runs", simulations, "number of schedules that TestSimulation runs")
	simFirst = flag.Uint64("sim.first", 1, "seed of the first schedule")
	simTrace = flag.Bool("sim.trace", false, "print the events of the schedule of -sim.seed")
)

// TestSimulation runs small pools with random faults. See world and schedule for what it checks. To run more schedules:
//
//	go test ./internal/pool -run 'TestSimulation$' -timeout 0 -sim.runs 1000000 -sim.first 100000
func TestSimulation(t *testing.T) {
	t.Parallel()
	if *simSeed != 0 {
		s := newSchedule(*simSeed)
		if *simTrace {
			s.trace = os.Stderr
		}
		err := s.guard(s.play)
		t.Logf("%+v", s.count)
		require.NoError(t, err)

		return
	}
	runs := *simRuns
	if testing.Short() {
		runs = min(runs, 200)
	}
	var all counts
	for i := range runs {
		s := newSchedule(*simFirst + i)
		require.NoErrorf(t, s.guard(s.play),
			"replay: go test ./internal/pool -run 'TestSimulation$' -v -sim.trace -sim.seed %d", *simFirst+i)
		all.add(s.count)
	}
	t.Logf("%d schedules: %+v", runs, all)
	if runs >= 200 {
		require.NoError(t, all.missing())
	}
}

// TestSimulation_Replays shows that a seed determines the whole schedule.
func TestSimulation_Replays(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		var traces [2]recorder
		for i := range traces {
			s := newSchedule(seed + 1)
			s.trace = &traces[i]
			require.NoError(t, s.guard(s.play))
		}
		require.NotEmpty(t, traces[0])
		require.Equal(t, traces[0], traces[1])
	}
}

// A recorder keeps a trace.
type recorder []byte

func (r *recorder) Write(p []byte) (int, error) {
	*r = append(*r, p...)

	return len(p), nil
}

// A schedule is a world with random settings and faults.
type schedule struct {
	*world

	config pool.Config
	greedy float64 // how likely a worker is greedy
	named  float64
	faults []func(*worker)
	fails  map[string]time.Duration // tasks that fail after this time
	slow   map[string]time.Duration // tasks that take this time to stop
	names  []string                 // of named workers that are not there
	all    []pool.Spec
	calm   bool
}

func newSchedule(seed uint64) *schedule {
	s := &schedule{fails: map[string]time.Duration{}, slow: map[string]time.Duration{}}
	s.world = newWorld(seed, setup{
		latency: 5 * time.Millisecond, weights: map[string]int{}, refused: map[string]bool{}, work: s.behaviour,
	})
	s.draw()

	return s
}

// draw draws the settings.
func (s *schedule) draw() {
	s.latency = pick(s.world, time.Millisecond, 5*time.Millisecond, 60*time.Millisecond)
	s.all = tasks(3 + s.rand.IntN(10))
	for i := range s.all {
		name := s.all[i].Name
		if s.chance(0.2) {
			s.all[i].Weight = 1 + s.rand.IntN(3)
			s.weights[name] = s.all[i].Weight
		}
		if s.chance(0.05) {
			s.refused[name] = true
		}
		s.slow[name] = pick(s.world, 0, 0, time.Millisecond, 100*time.Millisecond, 3*time.Second)
	}
	s.server = newServer(s.world)
	s.specs = s.all
	timeout := pick(s.world, time.Second, 5*time.Second)
	s.config = pool.Config{
		Timeout: timeout, Settle: pick(s.world, 100*time.Millisecond, timeout), Moves: 1 + s.rand.IntN(3),
		Backoff: time.Second, MaxBackoff: 10 * time.Second, GiveUp: s.rand.IntN(4),
		Once: s.chance(0.1), Retries: s.rand.IntN(3),
	}
	s.greedy = pick(s.world, 0, 0, 0, 0.5, 1)
	s.named = pick(s.world, 0, 0, 0.5, 1)
	s.faults = []func(*worker){
		(*worker).drain, s.kill, s.kill, s.cut, s.cut, s.relist, s.spoil, s.restart, func(*worker) { s.join() },
		func(*worker) { s.join() },
	}
}

// behaviour returns how a task behaves.
func (s *schedule) behaviour(task string) behaviour {
	b := behaviour{returns: s.fails[task], stop: s.slow[task]}
	if b.returns != 0 {
		b.err = errTask
	} else if s.config.Once {
		b.returns = s.between(time.Millisecond, 20*time.Second)
	}

	return b
}

// join starts a worker.
func (s *schedule) join() {
	if len(s.workers) >= 7 {
		return
	}
	c := s.config
	c.Capacity = s.rand.IntN(6)
	c.Greedy = s.chance(s.greedy)
	if s.chance(0.1) {
		c.Only = "*[02468]"
	}
	if s.chance(s.named) {
		c.Named = true
		c.Worker = fmt.Sprintf("named-%d", s.born)
		if len(s.names) > 0 && s.chance(0.7) {
			i := s.rand.IntN(len(s.names))
			c.Worker = s.names[i]
			s.names = slices.Delete(s.names, i, i+1)
		}
	}
	s.start(c)
}

func (s *schedule) kill(k *worker) {
	s.count.Crashes++
	if k.config.Named {
		s.names = append(s.names, k.config.Worker)
	}
	k.crash(s.chance(0.3))
}

func (s *schedule) restart(k *worker) {
	c := k.config
	if s.chance(0.5) {
		s.count.Crashes++
		k.crash(s.chance(0.5))
	} else {
		s.count.Drained++
		k.drain()
	}
	s.after(s.between(0, 2*c.Timeout), func() {
		if !s.calm {
			s.start(c)
		}
	})
}

func (s *schedule) cut(k *worker) {
	if l := k.link; l != nil {
		l.part(s.between(0, 3*k.config.Timeout))
	}
}

// relist changes the list of tasks. The workers see that at different times.
func (s *schedule) relist(*worker) {
	s.count.Lists++
	specs := slices.DeleteFunc(slices.Clone(s.all), func(pool.Spec) bool { return s.chance(0.2) })
	s.specs = specs
	for _, k := range s.workers {
		s.after(s.between(0, 2*time.Second), func() {
			if !k.dead {
				k.list(specs)
			}
		})
	}
}

// spoil makes a task fail, or none.
func (s *schedule) spoil(*worker) {
	clear(s.fails)
	if s.chance(0.5) {
		s.fails[pick(s.world, s.all...).Name] = s.between(time.Millisecond, 2*time.Second)
	}
}

// play plays the schedule.
func (s *schedule) play() {
	for range 1 + s.rand.IntN(4) {
		s.after(s.between(0, time.Second), s.join)
	}
	s.patrol()
	s.fault()
	s.run(10 * s.config.Timeout)
	s.log("-- calm")
	s.calm = true
	clear(s.fails)
	for _, k := range s.workers {
		s.after(2*time.Second, func() {
			if !k.dead {
				k.list(s.specs)
			}
		})
	}
	s.run(s.settled())
	s.checkSettled()
}

// settled returns how long after the last fault its effects may last.
func (s *schedule) settled() time.Duration { return 10*s.config.Timeout + 90*time.Second }

func (s *schedule) fault() {
	if s.calm {
		return
	}
	s.after(s.between(0, s.config.Timeout), s.fault)
	if len(s.workers) == 0 {
		s.join()

		return
	}
	pick(s.world, s.faults...)(pick(s.world, s.workers...))
}

// checkSettled checks the pool after it has been quiet for a long time.
func (s *schedule) checkSettled() {
	moves, starts := s.count.Moves, maps.Clone(s.starts)
	s.run(2 * time.Minute)
	if s.count.Moves != moves {
		s.fail("%d tasks move in a quiet pool", s.count.Moves-moves)
	}
	if !maps.Equal(starts, s.starts) && !s.config.Once {
		s.fail("tasks start in a quiet pool: %v, then %v", starts, s.starts)
	}
	if s.config.Once {
		if len(s.workers) > 0 && len(s.refused) == 0 {
			for _, spec := range s.specs {
				if !s.server.records[spec.Name].Final() && s.anyoneTakes(spec) {
					s.fail("%s is not done", spec.Name)
				}
			}
		}

		return
	}
	for _, spec := range s.specs {
		if n := s.runs[spec.Name]; n > 1 || n == 1 && s.owners[spec.Name] == nil {
			s.fail("%d functions of %s run", n, spec.Name)
		}
	}
	var free []string
	for _, spec := range s.specs {
		if s.runs[spec.Name] == 0 {
			free = append(free, spec.Name)
		}
	}
	for _, k := range s.workers {
		waits := k.link == nil || k.link.share == 0 // for the end of another process with its name
		if !waits && !slices.Equal(k.unassigned, free) {
			s.fail("%s reports %v, but %v run nowhere", k.name, k.unassigned, free)
		}
	}
}

func (s *schedule) anyoneTakes(spec pool.Spec) bool {
	return slices.ContainsFunc(s.workers, func(k *worker) bool { return k.could(spec) })
}
