//go:build unix

package embedded

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
	asWaiter     = "waiter"
	asHolder     = "holder"
	asHost       = "host"
	asHostHolder = "host and holder"
)

// history judges a record, event by event.
//
// H1 The tokens of a task rise from one begin to the next.
// H2 Who works on a task was the last one to begin with it, and does so under the token of its begin.
// H3 Nobody begins with a task before the last one has ended or lost it, or was to be killed or stopped.
// H4 Nobody who has asked is passed over.
type history struct {
	tasks map[string]*task
	asked map[int]asking // by who
	turns int            // begins
	last  map[int]int    // the last turn, by who
	lost  int            // tasks that were lost

	kills  map[string]int // by what the killed were
	struck []strike       // not followed by a begin yet
	gaps   map[string][]time.Duration
}

// task is the state of a task.
type task struct {
	token uint64
	who   int           // the last one to begin
	works bool          // that one has not ended, nor lost it
	freed bool          // it was to be killed or stopped, and has not worked since
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

func newHistory() *history {
	return &history{
		tasks: map[string]*task{}, asked: map[int]asking{}, last: map[int]int{},
		kills: map[string]int{}, gaps: map[string][]time.Duration{},
	}
}

// holder returns who works on the task, if anybody does.
func (h *history) holder(name string) (who int, ok bool) {
	t := h.tasks[name]
	if t == nil || !t.works {
		return 0, false
	}

	return t.who, true
}

// hear takes the next event.
func (h *history) hear(e Event) error {
	switch e.Verb {
	case Ask:
		h.asked[e.Who] = asking{e.At, e.Task, h.turns}
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
	case Child:
	default:
		return fmt.Errorf("event %v has an unknown verb", e)
	}

	return nil
}

func (h *history) begin(e Event) error {
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
	*t = task{token: e.Token, who: e.Who, works: true}

	var open []strike
	for _, s := range h.struck {
		if s.task == e.Task {
			h.gaps[s.what] = append(h.gaps[s.what], max(0, e.At.Sub(max(s.at, idle))))
		} else {
			open = append(open, s)
		}
	}
	h.struck = open

	h.turns++
	h.last[e.Who] = h.turns
	delete(h.asked, e.Who)
	for who, a := range h.asked {
		if turns := h.turns - a.turns; a.task == e.Task && turns > fairTurns && e.At.Sub(a.at) > fairTime {
			return fmt.Errorf("H4: %d has asked for %s %v ago, and %d others have had it since", who, a.task,
				e.At.Sub(a.at), turns)
		}
	}

	return nil
}

func (h *history) work(e Event) error {
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
	t.freed = false
	if e.Verb != Work {
		t.works, t.idle = false, e.At
	}

	return nil
}

func (h *history) kill(e Event) {
	delete(h.asked, e.Who)
	what := e.Task
	for name, t := range h.tasks {
		if !t.works || t.who != e.Who {
			continue
		}
		t.freed, t.idle = true, e.At
		what = map[string]string{asHost: asHostHolder, asWaiter: asHolder}[e.Task]
		h.struck = append(h.struck, strike{e.At, name, what})
	}
	h.kills[what]++
	if what == asHost { // who has asked can't get it until another hosts
		for _, a := range h.asked {
			h.struck = append(h.struck, strike{e.At, a.task, what})

			break
		}
	}
}

// judge returns what a history says of events written "verb who token" or, at the end, "verb who".
func judge(events ...string) (*history, error) {
	h := newHistory()
	for i, text := range events {
		e := Event{At: clock.Instant(i+1) * clock.Instant(time.Second), Task: "lock"}
		_, err := fmt.Sscan(text+" 0", &e.Verb, &e.Who, &e.Token)
		if e.Verb == Kill {
			e.Task = []string{asWaiter, asHost}[e.Token]
		}
		if err := errors.Join(err, h.hear(e)); err != nil {
			return h, err
		}
	}

	return h, nil
}

// The judge must not be one that lets everything pass.
func TestHistory(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ events, err string }{
		"one after another":  {"ask 1|begin 1 3|work 1 3|ask 2|end 1 3|begin 2 4|work 2 4|end 2 4", ""},
		"after a kill":       {"begin 1 3|work 1 3|kill 1|begin 2 4|work 2 4", ""},
		"killed too late":    {"begin 1 3|kill 1|work 1 3|end 1 3|begin 2 4", ""},
		"after a loss":       {"begin 1 3|lost 1 3|begin 2 4", ""},
		"stopped":            {"begin 1 3|stop 1|begin 2 4|lost 1 3|work 2 4", ""},
		"waited long":        {"ask 1" + strings.Repeat("|ask 2", fairTurns) + "|begin 1 3", ""},
		"two at once":        {"begin 1 3|begin 2 4", "H3"},
		"the other is dead":  {"begin 1 3|kill 2|begin 2 4", "H3"},
		"stopped, goes on":   {"begin 1 3|stop 1|work 1 3|begin 2 4", "H3"},
		"an old token":       {"begin 1 3|kill 1|begin 2 4|work 1 3", "H2"},
		"an end too late":    {"begin 1 3|kill 1|begin 2 4|end 1 3", "H2"},
		"works after an end": {"begin 1 3|end 1 3|work 1 3", "H2"},
		"works after a loss": {"begin 1 3|lost 1 3|work 1 3", "H2"},
		"a stranger":         {"begin 1 3|work 2 3", "H2"},
		"a stranger's token": {"begin 1 3|work 1 4", "H2"},
		"none":               {"work 1 1", "H2"},
		"same token":         {"begin 1 3|end 1 3|begin 2 3", "H1"},
		"token falls":        {"begin 1 3|end 1 3|begin 2 2", "H1"},
		"passed over":        {"ask 9" + passes(fairTurns+1), "H4"},
		"nearly passed over": {"ask 9" + passes(fairTurns), ""},
		"dead, not waiting":  {"ask 9|kill 9" + passes(fairTurns+1), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := judge(strings.Split(test.events, "|")...)
			if test.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.err)
			}
		})
	}
}

func passes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "|begin 1 %d|end 1 %d", i+1, i+1)
	}

	return b.String()
}

// The events of judge are a second apart.
func TestHistory_Gaps(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		events string
		want   map[string][]time.Duration
	}{
		"holder":                {"begin 1 3|kill 1|ask 2|begin 2 4", gapsOf(asHolder, 2)},
		"host and holder":       {"begin 1 3|kill 1 1|ask 2|ask 3|begin 2 4", gapsOf(asHostHolder, 3)},
		"waiter":                {"ask 2|begin 1 3|kill 2|end 1 3|begin 3 4", gapsOf("", 0)},
		"host, holder goes on":  {"ask 2|begin 1 3|kill 3 1|work 1 3|end 1 3|begin 2 4", gapsOf(asHost, 1)},
		"host, nobody at work":  {"ask 2|begin 1 3|end 1 3|ask 1|kill 3 1|ask 4|begin 2 4", gapsOf(asHost, 2)},
		"host, nobody wants it": {"begin 1 3|kill 3 1|end 1 3|begin 2 4", gapsOf("", 0)},
		"two":                   {"begin 1 3|kill 1|kill 2|begin 3 4", gapsOf(asHolder, 2)},
		"again":                 {"begin 1 3|kill 1|begin 2 4|kill 2|begin 3 5", gapsOf(asHolder, 1, 1)},
		"it ended before":       {"begin 1 3|kill 1|end 1 3|begin 2 4", gapsOf(asHolder, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, err := judge(strings.Split(test.events, "|")...)
			require.NoError(t, err)
			require.Equal(t, test.want, h.gaps)
			require.Empty(t, h.struck)
		})
	}
}

func gapsOf(what string, seconds ...int) map[string][]time.Duration {
	gaps := map[string][]time.Duration{}
	for _, s := range seconds {
		if s > 0 {
			gaps[what] = append(gaps[what], time.Duration(s)*time.Second)
		}
	}

	return gaps
}

func TestRecord(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/record"
	r, err := OpenRecord(path)
	require.NoError(t, err)
	other, err := OpenRecord(path)
	require.NoError(t, err)
	before := clock.System().Now()
	require.NoError(t, r.Append(Begin, 1, "job-1", 17))
	require.NoError(t, other.Append(Kill, 1234567, asWaiter, 0))
	require.ErrorContains(t, r.Append(Begin, 1, strings.Repeat("x", lineSize), 0), "is too long")

	events, err := r.Read(0)
	require.NoError(t, err)
	require.Len(t, events, 2)
	require.GreaterOrEqual(t, events[0].At, before)
	require.GreaterOrEqual(t, events[1].At, events[0].At)
	require.Equal(t, Event{events[0].At, Begin, 1, "job-1", 17}, events[0])
	require.Equal(t, Event{events[1].At, Kill, 1234567, asWaiter, 0}, events[1])
	rest, err := r.Read(1)
	require.NoError(t, err)
	require.Equal(t, events[1:], rest)

	_, err = r.file.WriteString(strings.Repeat("x", lineSize-1) + "\n")
	require.NoError(t, err)
	_, err = r.Read(0)
	require.ErrorContains(t, err, "xxx")
	require.NoError(t, errors.Join(r.Close(), other.Close()))
}
