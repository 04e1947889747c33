//go:build unix

package embedded

import (
	"fmt"
	"time"

	"tenure/internal/clock"
)

// A process that has asked waits for those that asked earlier, and longer if these are killed. A process has been
// passed over if it has waited for more than fairTurns turns of others and longer than fairTime.
const (
	fairTurns = 50
	fairTime  = 5 * time.Second
)

// What a process was when it was killed. A Kill event has AsHost or AsWaiter in place of a task.
const (
	AsWaiter     = "waiter"
	AsHolder     = "holder"
	AsHost       = "host"
	AsHostHolder = "host and holder"
)

// History checks a record, event by event.
//
// H1 The tokens of a task rise from one begin to the next.
// H2 Only the last process to begin a task works on it, under the token of that begin.
// H3 A process begins a task only after the previous one has ended or lost it, or was about to be killed or stopped.
// H4 No process that has asked is passed over.
type History struct {
	Turns int                        // the number of Begin events
	Gaps  map[string][]time.Duration // how long no process worked after a kill, by what the killed process was

	tasks  map[string]*task
	asked  map[int]asking // by process
	last   map[int]int    // the last turn of each process
	lost   int            // the number of Lost events
	doomed map[int]bool   // processes that are about to be killed, or dead
	ending map[int]bool   // processes that were asked to end, or have ended
	kills  map[string]int // by what the killed process was
	struck []strike       // kills that no begin has followed yet
}

// task is the state of a task.
type task struct {
	token uint64
	who   int           // the last process to begin
	works bool          // who has neither ended nor lost it
	freed bool          // the test killed or stopped who, which has not worked since
	idle  clock.Instant // when the last work ended
}

type asking struct {
	at    clock.Instant
	task  string
	turns int // the number of turns before it asked
}

// strike is the kill of a process after which others could not work for some time.
type strike struct {
	at   clock.Instant
	task string
	what string // what the process was
}

func newHistory() *History {
	return &History{
		tasks: map[string]*task{}, asked: map[int]asking{}, last: map[int]int{},
		doomed: map[int]bool{}, ending: map[int]bool{}, kills: map[string]int{}, Gaps: map[string][]time.Duration{},
	}
}

// add processes the next event. Its error names the rule that the event breaks.
func (h *History) add(e Event) error {
	switch e.Verb {
	case Ask:
		if !h.doomed[e.Who] && !h.ending[e.Who] {
			h.asked[e.Who] = asking{e.At, e.Task, h.Turns}
		}
	case Begin:
		return h.begin(e)
	case Work, End, Lost:
		return h.work(e)
	case Kill:
		h.kill(e)
	case Stop:
		for _, t := range h.tasks {
			t.freed = t.freed || t.works && t.who == e.Who
		}
	case Quit:
		h.ending[e.Who] = true
		delete(h.asked, e.Who)
	case Child:
	default:
		return fmt.Errorf("event %v has an unknown verb", e)
	}

	return nil
}

func (h *History) begin(e Event) error {
	t := h.tasks[e.Task]
	switch {
	case t == nil:
		t = new(task)
		h.tasks[e.Task] = t
	case e.Token <= t.token:
		return fmt.Errorf("H1: %d begins %s under token %d after %d began it under %d", e.Who, e.Task, e.Token,
			t.who, t.token)
	case t.works && !t.freed:
		return fmt.Errorf("H3: %d begins %s while %d works on it", e.Who, e.Task, t.who)
	}
	idle := t.idle
	*t = task{token: e.Token, who: e.Who, works: true, freed: h.doomed[e.Who], idle: e.At}

	var open []strike
	for _, s := range h.struck {
		if s.task == e.Task {
			h.Gaps[s.what] = append(h.Gaps[s.what], max(0, e.At.Sub(max(s.at, idle))))
		} else {
			open = append(open, s)
		}
	}
	h.struck = open

	h.Turns++
	h.last[e.Who] = h.Turns
	delete(h.asked, e.Who)
	for who, a := range h.asked {
		if turns := h.Turns - a.turns; a.task == e.Task && turns > fairTurns && e.At.Sub(a.at) > fairTime {
			return fmt.Errorf("H4: %d asked for %s %v ago, and others have begun %d times since", who, a.task,
				e.At.Sub(a.at), turns)
		}
	}

	return nil
}

func (h *History) work(e Event) error {
	t := h.tasks[e.Task]
	if e.Verb == Lost {
		h.lost++
	}
	switch {
	case e.Verb == Lost && t != nil && e.Token < t.token: // it noticed the loss late and has not worked since
		return nil
	case t == nil, e.Token != t.token, e.Who != t.who, !t.works:
		return fmt.Errorf("H2: %d reports %s of %s under token %d, which it does not hold", e.Who, e.Verb, e.Task, e.Token)
	}
	t.freed = h.doomed[e.Who]
	if e.Verb != Work {
		t.works, t.idle = false, e.At
	}

	return nil
}

func (h *History) kill(e Event) {
	h.doomed[e.Who] = true
	delete(h.asked, e.Who)
	what := e.Task
	for name, t := range h.tasks {
		if !t.works || t.who != e.Who {
			continue
		}
		t.freed, t.idle = true, e.At
		what = map[string]string{AsHost: AsHostHolder, AsWaiter: AsHolder}[e.Task]
		h.struck = append(h.struck, strike{e.At, name, what})
	}
	h.kills[what]++
	if what == AsHost { // no waiter can be granted the task until another process hosts
		for _, a := range h.asked {
			h.struck = append(h.struck, strike{e.At, a.task, what})

			break
		}
	}
}

// works reports whether the process works on a task.
func (h *History) works(who int) bool {
	for _, t := range h.tasks {
		if t.works && t.who == who {
			return true
		}
	}

	return false
}

// Asking returns the number of processes that have asked for a task and not begun it yet.
func (h *History) Asking() int { return len(h.asked) }
