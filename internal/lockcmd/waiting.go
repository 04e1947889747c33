package lockcmd

import (
	"context"
	"fmt"
	"slices"
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

	// patience is how much longer the first waiting line waits for the holder. Then it appears without the holder.
	patience = 2 * time.Second

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

// tells reports whether the line of q names a holder of a lock that the line of said does not name one of.
func (q queue) tells(said queue) bool {
	return len(q.Holders) > 0 && (len(said.Holders) == 0 || !slices.Equal(q.Names, said.Names))
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
		fmt.Fprintf(&b, ", which was lost: at most %v", cli.Remaining(first.Lost.Sub(now)))
	case first.Until != nil:
		fmt.Fprintf(&b, ", which is done and keeps it for %v", cli.Remaining(first.Until.Sub(now)))
	case first.Since != nil:
		fmt.Fprintf(&b, " for %v", cli.Elapsed(now.Sub(*first.Since)))
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
// again every minute, or earlier if it then names the holder for the first time. Its methods are safe for concurrent
// use.
type display struct {
	clock    clock.Clock
	show     func(line string) // prints the line, in place on a terminal
	clear    func()            // removes the line from the terminal
	terminal bool
	changed  chan struct{} // has one element if set has been called; made by set

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
		select {
		case d.changed <- struct{}{}:
		default:
		}

		return
	}
	d.changed = make(chan struct{}, 1)
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	d.running.Go(func() { d.run(ctx) }) // ends with end
}

// run prints the line until ctx ends.
func (d *display) run(ctx context.Context) {
	if d.terminal {
		defer d.clear()
		for wait := moment; clock.Pause(ctx, d.clock, wait); wait = refresh {
			d.show(d.current().line(now(d.clock)))
		}

		return
	}
	if !clock.Pause(ctx, d.clock, moment) {
		return
	}
	var said queue
	for wait := patience; d.await(ctx, said, wait); wait = reminder {
		said = d.current()
		d.show(said.line(now(d.clock)))
	}
}

func (d *display) current() queue {
	d.mu.Lock()
	defer d.mu.Unlock()

	return d.queue
}

// await waits until the limit has passed, or until a holder is known whom the queue said does not name. It returns
// false if ctx has ended.
func (d *display) await(ctx context.Context, said queue, limit time.Duration) bool {
	timer := d.clock.NewTimer()
	defer timer.Stop()
	start := d.clock.Now()
	timer.Set(start, start.Add(limit))
	for !d.current().tells(said) {
		select {
		case <-d.changed:
		case <-timer.C():
			return ctx.Err() == nil
		case <-ctx.Done():
			return false
		}
	}

	return ctx.Err() == nil
}

// pause removes the line from the terminal, so that another line can be printed. The caller must call resume then.
func (d *display) pause() (resume func()) {
	d.mu.Lock()
	q, shown := d.queue, d.stop != nil
	d.mu.Unlock()
	if !d.terminal || !shown {
		return func() {}
	}
	d.end()

	return func() { d.set(q) }
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
