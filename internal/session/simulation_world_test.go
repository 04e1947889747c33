package session_test

import (
	"container/heap"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math/rand/v2"
	"reflect"
	"time"

	"tenure/internal/clock"
)

// world is one schedule. Everything that happens in it follows from the seed.
type world struct {
	seed    uint64
	rand    *rand.Rand
	now     clock.Instant // by the node's clock, which is also the world's
	events  events
	counter uint64 // orders events of the same instant
	trace   io.Writer

	unit    time.Duration // the usual session timeout
	server  *server
	clients []*client // a client that has been closed or killed is replaced
	born    int       // number of clients so far
	calm    bool      // there are no more faults, and users only release their leases
	hit     faults    // how often each fault has happened
	healed  clock.Instant
	left    int    // endings of sessions that the node still had
	odds    faults // how likely each fault is in this schedule
}

// faults is a counter or a weight for each kind of fault. Refuse withdraws the access of a client for a while, and Deny
// its right to read. Pass counts the refusals after which a session has continued, and Stay those that ended one.
type faults struct {
	Cut, Dark, CutOff, Suspend, Kill, Crash, Torn, Drop, ForceDelete, Steal, Fail, FrontAnswers, Busy, Slow, Down int

	Refuse, Deny, Pass, Stay int
}

func (f *faults) each(g func(name string, n *int)) {
	v := reflect.ValueOf(f).Elem()
	for i := range v.NumField() {
		g(v.Type().Field(i).Name, v.Field(i).Addr().Interface().(*int))
	}
}

func (f *faults) add(o faults) {
	var of []int
	o.each(func(_ string, n *int) { of = append(of, *n) })
	f.each(func(_ string, n *int) { *n += of[0]; of = of[1:] })
}

func (f *faults) missing() (err error) {
	f.each(func(name string, n *int) {
		if *n == 0 {
			err = errors.Join(err, fmt.Errorf("%s did not happen", name))
		}
	})

	return err
}

// mostEvents is far more than a schedule needs.
const mostEvents = 1_000_000

// broken is the panic value with which a failed check ends the schedule.
type broken string

func newWorld(seed uint64) *world {
	w := &world{seed: seed, rand: rand.New(rand.NewPCG(seed, 0)), now: clock.Instant(time.Hour)}
	w.unit = pick(w, 200*time.Millisecond, time.Second, 2*time.Second, 5*time.Second)
	w.odds.each(func(_ string, n *int) { // many schedules with a few faults each find more than one with all faults
		if w.chance(0.4) {
			*n = 1 + w.rand.IntN(4)
		}
	})
	w.server = newServer(w)

	return w
}

// run runs the schedule and returns the first failed check, or nil.
func (w *world) run() (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case broken:
			err = fmt.Errorf("seed %d, at %v: %s", w.seed, w.now.Sub(clock.Instant(time.Hour)), string(r))
		default:
			panic(r)
		}
	}()
	for range 2 + w.rand.IntN(4) {
		w.clients = append(w.clients, newClient(w))
	}
	w.after(w.between(0, w.unit), w.fault)
	w.until(w.now.Add(10 * w.unit))
	w.log("-- calm")
	w.calm = true
	w.heal()
	w.until(w.now.Add(w.settled()))
	w.checkSettled()

	return nil
}

// settled returns how long after the last fault its effects may last. By then the server is back, sessions of dead
// clients have timed out and every waiter has had its turn.
func (w *world) settled() time.Duration { return 8*w.unit + grace + 2*time.Second }

func (w *world) until(end clock.Instant) {
	for len(w.events) > 0 && w.events[0].at <= end {
		e := heap.Pop(&w.events).(*event)
		w.now = e.at
		e.do()
		w.check()
		if w.counter > mostEvents {
			w.fail("%d events: the schedule does not come to an end", w.counter)
		}
	}
	w.now = end
}

func (w *world) after(d time.Duration, f func()) { w.at(w.now.Add(d), f) }

func (w *world) at(at clock.Instant, f func()) {
	w.counter++
	heap.Push(&w.events, &event{max(at, w.now), w.counter, f})
}

func (w *world) fail(format string, args ...any) { panic(broken(fmt.Sprintf(format, args...))) }

func (w *world) log(format string, args ...any) {
	if w.trace != nil {
		fmt.Fprintf(w.trace, "%12v  %s\n", w.now.Sub(clock.Instant(time.Hour)), fmt.Sprintf(format, args...))
	}
}

func (w *world) chance(p float64) bool { return w.rand.Float64() < p }

// between draws a duration from the range. It often draws one close to low, where the edge cases are.
func (w *world) between(low, high time.Duration) time.Duration {
	if w.chance(0.3) {
		high = low + (high-low)/20
	}

	return low + time.Duration(w.rand.Int64N(int64(high-low)+1))
}

func pick[T any](w *world, of ...T) T { return of[w.rand.IntN(len(of))] }

// fault causes one fault and plans the next one.
func (w *world) fault() {
	if w.calm {
		return
	}
	w.after(w.between(0, w.unit), w.fault)
	c := pick(w, w.clients...)
	total := 0
	w.odds.each(func(_ string, n *int) { total += *n })
	if total == 0 {
		return
	}
	draw := w.rand.IntN(total)
	w.odds.each(func(name string, n *int) {
		if draw -= *n; draw < 0 {
			draw = total
			w.strike(name, c)
		}
	})
}

func (w *world) strike(name string, c *client) {
	switch name {
	case "Cut":
		if p := c.stream(); p != nil {
			w.hit.Cut++
			p.cut()
		}
	case "Dark":
		w.hit.Dark++
		c.darken()
	case "CutOff":
		if p := c.stream(); p != nil && p.attached {
			w.hit.CutOff++
			p.cutOff()
		}
	case "Suspend":
		w.hit.Suspend++
		c.suspend(w.between(0, 2*c.cfg.Timeout))
	case "Kill":
		w.hit.Kill++
		c.kill()
	case "Crash":
		w.hit.Crash++
		w.server.crash()
	case "Drop":
		if w.chance(0.2) {
			w.hit.Drop++
			w.server.drop()
		}
	case "ForceDelete":
		if w.chance(0.3) {
			w.hit.ForceDelete++
			w.server.forceDelete()
		}
	case "Steal":
		if c.id != 0 && c.epoch == w.server.epoch && w.server.node != nil {
			w.hit.Steal++
			w.server.steal(c)
		}
	case "Fail":
		if p := c.stream(); p != nil {
			w.hit.Fail++
			p.fail(pick(w, passing...))
		}
	case "Refuse":
		w.hit.Refuse++
		c.refuse(w.between(0, 2*c.cfg.Timeout))
	case "Deny":
		w.hit.Deny++
		c.denied = w.now.Add(w.between(0, 2*c.cfg.Timeout))
	}
}

// heal ends all faults.
func (w *world) heal() {
	w.odds, w.healed = faults{}, w.now
	for _, c := range w.clients {
		c.dark = [2]clock.Instant{}
		c.barred, c.denied = 0, 0
		c.resume()
	}
}

type event struct {
	at    clock.Instant
	order uint64
	do    func()
}

// events implements heap.Interface.
type events []*event

func (h events) Len() int      { return len(h) }
func (h events) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *events) Push(x any)   { *h = append(*h, x.(*event)) }

func (h events) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].order < h[j].order
}

func (h *events) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]

	return e
}

// recorder computes a fingerprint of a trace.
type recorder struct {
	lines int
	sum   uint64
}

var recorderSeed = maphash.MakeSeed()

func (r *recorder) Write(p []byte) (int, error) {
	r.lines++
	r.sum = r.sum*31 + maphash.Bytes(recorderSeed, p)

	return len(p), nil
}
