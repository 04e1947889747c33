//go:build linux

package workers

import (
	"errors"
	"fmt"
	"time"

	"tenure/internal/clock"
)

// Violations of the rules.
var (
	errToken   = errors.New("a token did not grow")
	errTwo     = errors.New("two jobs of a task were at work")
	errAlive   = errors.New("an earlier job of the task was alive when the next one began")
	errOrder   = errors.New("a job wrote before its begin or after its end")
	errDropped = errors.New("a task did not run again")
	errLate    = errors.New("a task ran again too late")
)

// A judge reads a record, line by line, and checks these rules. It knows nothing of workers.
//
// J1 The tokens of a task grow from each run to the next, except from one to the next in the same worker.
// J2 A run begins after the end of the previous run of its task, or after the worker of that run was killed or cut off,
// unless the judge is lossy: if the machine is slow, a worker can lose a lease with a short timeout at any time.
// J3 When a run has begun, no earlier run of its task writes or is alive.
// J4 A run writes nothing before its begin and after its end.
// J5 A task whose worker was killed or cut off while it ran has run again within a bound.
type judge struct {
	tasks  map[string]*history
	lossy  bool
	killed map[string]bool // workers
	gaps   []time.Duration // from the end of a worker to the next run of each of its tasks
}

// A history is what the judge knows of a task.
type history struct {
	begin Line
	ended bool
	free  clock.Instant // when the worker of a run that had not ended was killed or cut off; 0: it was not
	runs  int
}

func newJudge() *judge { return &judge{tasks: map[string]*history{}, killed: map[string]bool{}} }

// read checks the next line.
func (j *judge) read(l Line) error {
	if l.Verb == Killed || l.Verb == Cut {
		j.strike(l)

		return nil
	}
	h := j.tasks[l.Task]
	if h == nil {
		h = &history{ended: true}
		j.tasks[l.Task] = h
	}
	fail := func(err error) error { return fmt.Errorf("%w: %v, after %v", err, l, h.begin) }
	switch {
	case l.Verb == Crowded:
		return fail(errAlive)
	case l.Verb == Begins && (l.Token < h.begin.Token || l.Token == h.begin.Token && l.Worker != h.begin.Worker):
		return fail(errToken)
	case l.Verb == Begins && !h.ended && h.free == 0 && !j.lossy, l.Verb != Begins && l.Token < h.begin.Token:
		return fail(errTwo)
	case l.Verb != Begins && (l.Token != h.begin.Token || l.PID != h.begin.PID || h.ended):
		return fail(errOrder)
	case l.Verb == Begins:
		j.begin(h, l)
	case l.Verb == Ends:
		h.ended = true
	}

	return nil
}

// strike handles the end of a worker.
func (j *judge) strike(l Line) {
	j.killed[l.Worker] = j.killed[l.Worker] || l.Verb == Killed
	for _, h := range j.tasks {
		if h.begin.Worker == l.Worker && !h.ended && h.free == 0 {
			h.free = l.At
		}
	}
}

// begin handles the begin of a run. A worker that was killed may just have started it.
func (j *judge) begin(h *history, l Line) {
	switch {
	case j.killed[l.Worker] && h.free == 0:
		h.free = l.At
	case !j.killed[l.Worker] && h.free != 0:
		j.gaps = append(j.gaps, l.At.Sub(h.free))
		h.free = 0
	}
	h.begin, h.ended = l, false
	h.runs++
}

// check checks J5 at the end of the record.
func (j *judge) check(bound time.Duration) error {
	for _, h := range j.tasks {
		if h.free != 0 && !h.ended {
			return fmt.Errorf("%w: %v", errDropped, h.begin)
		}
	}
	for _, gap := range j.gaps {
		if gap > bound {
			return fmt.Errorf("%w: after %v", errLate, gap)
		}
	}

	return nil
}

// running returns the runs that have neither ended nor lost their worker, by task.
func (j *judge) running() map[string]Line {
	running := map[string]Line{}
	for task, h := range j.tasks {
		if !h.ended && h.free == 0 {
			running[task] = h.begin
		}
	}

	return running
}
