//go:build unix

package embedded

import (
	"fmt"
	"time"

	"tenure/internal/clock"
)

// Who has asked waits for those who asked earlier, and longer if they are killed. Who has waited for so many turns of
// others, and for so long, has been passed over.
const (
	fairTurns = 50
	fairTime  = 5 * time.Second
)

// What processes are when they are killed. A Kill says whether it is of the host, in the place of a task.
const (
	AsWaiter     = "waiter"
	AsHolder     = "holder"
	AsHost       = "host"
	AsHostHolder = "host and holder"
)

// History judges a record, event by event.
//
// H1 The tokens of a task rise from one begin to the next.
// H2 Who works on a task was the last one to begin with it, and does so under the token of its begin.
// H3 Nobody begins with a task before the last one has ended or lost it, or was to be killed or stopped.
// H4 Nobody who has asked is passed over.
type History struct {
	Turns int                        // begins
	Gaps  map[string][]time.Duration // how long nobody worked after a kill, by what the killed was

	tasks  map[string]*task
	asked  map[int]asking // by who
	last   map[int]int    // the last turn, by who
	lost   int            // tasks that were lost
	doomed map[int]bool   // to be killed, or dead
	ending map[int]bool   // asked to end, or has
	kills  map[string]int // by what the killed were
	struck []strike       // not followed by a begin yet
}

// task is the state of a task.
type task struct {
	token uint64
	who   int           // the last one to begin
	works bool          // that one has not ended, nor lost it
	freed bool          // that one was to be killed or stopped, and has not worked since
	idle  clock.Instant // since when nobody works
}

type asking struct {
	at    clock.Instant
	task  string
	turns int // until then
}

// strike is the kill of a process that may have kept others from their work.
type strike struct {
	at   clock.Instant
	task string
	what string // the process was
}

func newHistory() *History {
	return &History{
		tasks: map[string]*task{}, asked: map[int]asking{}, last: map[int]int{},
		doomed: map[int]bool{}, ending: map[int]bool{}, kills: map[string]int{}, Gaps: map[string][]time.Duration{},
	}
}

// hear takes the next event.
func (h *History) hear(e Event) error {
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
		return fmt.Errorf("H1: %d begins with %s under token %d, after %d under %d", e.Who, e.Task, e.Token, t.who, t.token)
	case t.works && !t.freed:
		return fmt.Errorf("H3: %d begins with %s while %d works on it", e.Who, e.Task, t.who)
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
			return fmt.Errorf("H4: %d has asked for %s %v ago, and %d others have had it since", who, a.task,
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
	case e.Verb == Lost && t != nil && e.Token < t.token: // it is late to notice, and has not worked meanwhile
		return nil
	case t == nil, e.Token != t.token, e.Who != t.who, !t.works:
		return fmt.Errorf("H2: %d says %s of %s under token %d, which it does not have", e.Who, e.Verb, e.Task, e.Token)
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
	if what == AsHost { // who has asked can't get it until another hosts
		for _, a := range h.asked {
			h.struck = append(h.struck, strike{e.At, a.task, what})

			break
		}
	}
}

// works says whether the process works on anything.
func (h *History) works(who int) bool {
	for _, t := range h.tasks {
		if t.works && t.who == who {
			return true
		}
	}

	return false
}

// Asking returns how many have asked for what they have not got yet.
func (h *History) Asking() int { return len(h.asked) }
