package lockcmd

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/internal/look"
)

const (
	// moment is how long a wait may take before the user hears of it.
	moment = time.Second

	// reminder is the pause between two waiting lines that do not go to a terminal.
	reminder = time.Minute

	// refresh is the pause between two updates of the waiting line on a terminal.
	refresh = time.Second
)

// A queue is what the user hears of the queue for the lock.
type queue struct {
	Names   []string
	Server  string        // where the lock is
	Holders []look.Holder // of the lock; empty: not known
	Ahead   int           // the number of waiters ahead of this process; negative: not known
}

// line returns the waiting line.
func (q queue) line(now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "waiting for %s", cli.Quoted(q.Names))
	if len(q.Holders) == 0 {
		fmt.Fprintf(&b, " on %s", q.Server)

		return b.String()
	}
	b.WriteString(": " + q.holding(now))
	switch {
	case q.Ahead == 0:
		b.WriteString(", you are next")
	case q.Ahead > 0:
		fmt.Fprintf(&b, ", %d ahead of you", q.Ahead)
	}

	return b.String()
}

// holding describes the holders of the lock.
func (q queue) holding(now time.Time) string {
	var b strings.Builder
	first := q.Holders[0]
	who := first.Who
	if first.Lost != nil {
		who = fmt.Sprintf("session %d of this process", first.Session)
	}
	b.WriteString("held by " + who)
	switch {
	case first.Lost != nil:
		fmt.Fprintf(&b, ", which was lost: at most %v", cli.Short(first.Lost.Sub(now)))
	case first.Until != nil:
		fmt.Fprintf(&b, ", which is done and keeps it for %v", cli.Short(first.Until.Sub(now)))
	case first.Since != nil:
		fmt.Fprintf(&b, " for %v", cli.Short(now.Sub(*first.Since)))
	}
	switch others := len(q.Holders) - 1; others {
	case 0:
	case 1:
		b.WriteString(" and 1 other")
	default:
		fmt.Fprintf(&b, " and %d others", others)
	}

	return b.String()
}

// A display shows the waiting line while the process waits for the lock: on a terminal in place, elsewhere once, and
// again every minute. Its methods are safe for concurrent use.
type display struct {
	clock    clock.Clock
	show     func(line string) // prints the line, in place on a terminal
	clear    func()            // removes the line from the terminal
	terminal bool

	mu      sync.Mutex // guards the rest
	queue   queue
	stop    context.CancelFunc // nil: nothing is displayed
	running sync.WaitGroup
}

// set displays q from now on. The first line appears when the wait has taken a moment.
func (d *display) set(q queue) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queue = q
	if d.stop != nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	d.running.Go(func() { d.run(ctx) }) // ends with end
}

// run prints the line until ctx ends.
func (d *display) run(ctx context.Context) {
	pause := reminder
	if d.terminal {
		pause = refresh
		defer d.clear()
	}
	for wait := moment; clock.Pause(ctx, d.clock, wait); wait = pause {
		d.mu.Lock()
		q := d.queue
		d.mu.Unlock()
		d.show(q.line(now(d.clock)))
	}
}

// end removes the line. When it has returned, nothing is displayed until set is called again.
func (d *display) end() {
	d.mu.Lock()
	stop := d.stop
	d.stop = nil
	d.mu.Unlock()
	if stop != nil {
		stop()
		d.running.Wait()
	}
}
