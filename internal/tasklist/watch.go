package tasklist

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tenure/internal/clock"
	"tenure/internal/printable"
)

// A Watched is a list of tasks that may change. Load must be called before Watch.
type Watched struct {
	source source
	pause  time.Duration
	reload <-chan struct{}
	say    func(line string)
	clock  clock.Clock

	specs    []Spec
	reported string // the last problem that was reported; empty: the list was read
}

// A source is a place that a list comes from.
type source interface {
	name() string

	// stale reports whether the list may have changed since it was read last. It is called before a list that nobody
	// has asked for is read.
	stale() bool

	// read reads the list. The error names the source. If it is errUnsettled, the list is still being written.
	read(ctx context.Context) ([]Spec, error)
}

var errUnsettled = errors.New("the list is being written")

// An Option changes a Watched.
type Option func(*Watched)

// WithReload makes the list be read again immediately whenever the channel has an element.
func WithReload(reload <-chan struct{}) Option { return func(w *Watched) { w.reload = reload } }

// WithReport makes each change of the list, and each problem with it, be reported as a line of text.
func WithReport(say func(line string)) Option { return func(w *Watched) { w.say = say } }

// WithClock replaces the clock.
func WithClock(c clock.Clock) Option { return func(w *Watched) { w.clock = c } }

func newWatched(s source, pause time.Duration, opts []Option) *Watched {
	w := &Watched{source: s, pause: pause, say: func(string) {}, clock: clock.Go()}
	for _, opt := range opts {
		opt(w)
	}

	return w
}

// Load reads the list for the first time and returns it.
func (w *Watched) Load(ctx context.Context) ([]Spec, error) {
	specs, err := w.source.read(ctx)
	if errors.Is(err, errUnsettled) { // there is no older list to keep
		specs, err = w.source.read(ctx)
	}
	if err != nil {
		return nil, err
	}
	w.specs = specs

	return specs, nil
}

// Watch calls update with the list that Load has returned, and with each new one, until ctx ends. It returns the cause
// of the end, or the error of the first update. If a later update fails, the previous list stays in force, and Watch
// reports the error. Update must not change the list.
func (w *Watched) Watch(ctx context.Context, update func([]Spec) error) error {
	if err := update(w.specs); err != nil {
		return err
	}
	timer := w.clock.NewTimer()
	defer timer.Stop()
	for {
		now := w.clock.Now()
		timer.Set(now, now.Add(w.pause))
		asked := false
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.reload:
			asked = true
		case <-timer.C():
			if !w.source.stale() {
				continue
			}
		}
		w.again(ctx, asked, update)
	}
}

// again reads the list again, updates it and reports the result. If a person has asked for it, that person gets an
// answer in any case.
func (w *Watched) again(ctx context.Context, asked bool, update func([]Spec) error) {
	specs, err := w.source.read(ctx)
	changed := err == nil && !slices.Equal(specs, w.specs)
	if changed {
		if err = update(specs); err != nil {
			err = fmt.Errorf("%s: %w", w.source.name(), err)
		}
	}
	switch {
	case ctx.Err() != nil, errors.Is(err, errUnsettled) && !asked:
	case err != nil:
		if text := err.Error(); asked || text != w.reported {
			w.reported = text
			w.say(fmt.Sprintf("%s: keeping the previous list of %s", text, count(len(w.specs))))
		}
	case changed:
		w.say(fmt.Sprintf("%s: %s", w.source.name(), difference(w.specs, specs)))
		w.specs, w.reported = specs, ""
	default:
		if asked || w.reported != "" {
			w.say(fmt.Sprintf("%s: no change: %s", w.source.name(), count(len(specs))))
		}
		w.reported = ""
	}
}

// difference describes the change from one list to another.
func difference(before, after []Spec) string {
	weights := make(map[string]int, len(before))
	for _, s := range before {
		weights[s.Name] = s.Weight
	}
	added, changed := 0, 0
	for _, s := range after {
		weight, known := weights[s.Name]
		switch {
		case !known:
			added++
		case weight != s.Weight:
			changed++
		}
		delete(weights, s.Name)
	}
	text := fmt.Sprintf("%s: %d added, %d removed", count(len(after)), added, len(weights))
	if changed > 0 {
		text += fmt.Sprintf(", %d with another weight", changed)
	}

	return text
}

// count returns a number of tasks for a message.
func count(n int) string { return printable.Count(n, "task", "tasks") }
