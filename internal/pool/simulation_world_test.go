package pool_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"time"

	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/pool"
	"tenure/internal/roster"
)

// A world is one schedule of a pool: workers, the node of their semaphores, and the network between them. It runs in
// one goroutine and in virtual time. Everything that happens in it follows from the seed.
type world struct {
	rand   *rand.Rand
	now    clock.Instant // by the server's clock
	events events
	trace  io.Writer
	setup

	server  *server
	workers []*worker // those that have not left or crashed
	born    int

	owners map[string]*worker // who believes to own a task
	runs   map[string]int     // how many functions of a task run
	starts map[string]int     // how often a task was started
	free   map[string]clock.Instant
	begun  []start
	active int // functions that run and were not told to stop
	count  counts
}

// setup is what all workers of a world have in common.
type setup struct {
	specs   []pool.Spec
	weights map[string]int  // of the tasks whose weight is not 1
	refused map[string]bool // tasks that the server refuses
	latency time.Duration   // of a message, at most
	work    func(task string) behaviour
}

// A behaviour says how a function behaves.
type behaviour struct {
	returns time.Duration // by itself after this time; 0: never
	err     error         // what it then returns
	stop    time.Duration // how long it takes to return when it is told to
}

// A start is a call of a function.
type start struct {
	at     clock.Instant
	task   string
	worker string
}

// counts says what has happened.
type counts struct {
	Inputs, Acquires, Releases, Describes, Announcements int
	Announced, Described                                 int // bytes
	GivenBack, Moves, Stuck, Adopted, Peeks, Records     int
	Crashes, Cuts, Lost, Drained, Lists                  int
}

// broken is the panic value with which a failed check ends the schedule.
type broken string

// base is the date of instant 0.
var base = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newWorld(seed uint64, s setup) *world {
	w := &world{
		rand: rand.New(rand.NewPCG(seed, 1)), now: clock.Instant(time.Hour), setup: s,
		owners: map[string]*worker{}, runs: map[string]int{}, starts: map[string]int{}, free: map[string]clock.Instant{},
	}
	w.server = newServer(w)

	return w
}

// tasks returns n tasks of weight 1.
func tasks(n int) []pool.Spec {
	var specs []pool.Spec
	for i := range n {
		specs = append(specs, pool.Spec{Name: fmt.Sprintf("task-%05d", i), Weight: 1})
	}

	return specs
}

// guard runs f and returns the failed check, or nil.
func (w *world) guard(f func()) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case broken:
			err = fmt.Errorf("at %v: %s", w.elapsed(), string(r))
		default:
			panic(r)
		}
	}()
	f()

	return nil
}

func (w *world) elapsed() time.Duration { return w.now.Sub(clock.Instant(time.Hour)) }

func (w *world) fail(format string, args ...any) { panic(broken(fmt.Sprintf(format, args...))) }

func (w *world) log(format string, args ...any) {
	if w.trace != nil {
		fmt.Fprintf(w.trace, "%10.3fs "+format+"\n", append([]any{w.elapsed().Seconds()}, args...)...)
	}
}

func (w *world) after(d time.Duration, do func()) { w.events.push(w.now.Add(d), do) }

// run lets time pass.
func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for len(w.events.heap) > 0 && w.events.heap[0].at <= end {
		e := w.events.pop()
		w.now = max(w.now, e.at)
		e.do()
	}
	w.now = end
}

func (w *world) chance(p float64) bool { return w.rand.Float64() < p }

func (w *world) between(low, high time.Duration) time.Duration {
	return low + time.Duration(w.rand.Int64N(int64(high-low)+1))
}

func pick[T any](w *world, of ...T) T { return of[w.rand.IntN(len(of))] }

// delay returns how long a message takes.
func (w *world) delay() time.Duration { return w.between(w.latency/4, w.latency) }

// own notes that a worker believes to own a task.
func (w *world) own(by *worker, task string) {
	if other := w.owners[task]; other != nil && other != by {
		w.fail("%s and %s own %s", other.name, by.name, task)
	}
	w.owners[task] = by
}

func (w *world) disown(by *worker, task string) {
	if w.owners[task] == by {
		delete(w.owners, task)
	}
}

// patrol looks for tasks that are free although a worker could take them.
func (w *world) patrol() {
	w.after(500*time.Millisecond, w.patrol)
	for _, spec := range w.specs {
		if w.refused[spec.Name] || w.server.owner(spec.Name) != nil || !w.anyoneCould(spec) {
			delete(w.free, spec.Name)

			continue
		}
		since, ok := w.free[spec.Name]
		if !ok {
			w.free[spec.Name] = w.now
		}
		longest := time.Duration(0)
		for _, k := range w.workers {
			longest = max(longest, k.config.Timeout)
		}
		if ok && w.now.Sub(since) > 2*longest+3*time.Second {
			w.fail("%s has been free for %v although a worker could take it", spec.Name, w.now.Sub(since))
		}
	}
}

func (w *world) anyoneCould(spec pool.Spec) bool {
	for _, k := range w.workers {
		if k.could(spec) {
			return true
		}
	}

	return false
}

// An event is something that happens at an instant. Events of the same instant happen in the order of their planning.
type event struct {
	at    clock.Instant
	order uint64
	do    func()
}

func (e event) before(o event) bool { return e.at < o.at || e.at == o.at && e.order < o.order }

// events is a heap of events.
type events struct {
	heap  []event
	order uint64
}

func (h *events) push(at clock.Instant, do func()) {
	h.order++
	h.heap = append(h.heap, event{at, h.order, do})
	for i := len(h.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if !h.heap[i].before(h.heap[up]) {
			break
		}
		h.heap[i], h.heap[up] = h.heap[up], h.heap[i]
		i = up
	}
}

func (h *events) pop() event {
	top, last := h.heap[0], len(h.heap)-1
	h.heap[0] = h.heap[last]
	h.heap[last] = event{}
	h.heap = h.heap[:last]
	for i := 0; ; {
		least := i
		for _, child := range []int{2*i + 1, 2*i + 2} {
			if child < last && h.heap[child].before(h.heap[least]) {
				least = child
			}
		}
		if least == i {
			return top
		}
		h.heap[i], h.heap[least] = h.heap[least], h.heap[i]
		i = least
	}
}

// A server is the node and what it stores besides the semaphores of tasks and members.
type server struct {
	w       *world
	node    *node.Node
	last    node.StreamID
	links   map[node.StreamID]*link
	wake    clock.Instant
	records map[string]roster.Record
	holder  map[string]*link
	sent    map[uint64]*decoded // the announcements by session
}

// decoded is an announcement as the receivers decode it, once for all of them.
type decoded struct {
	data   *byte
	member roster.Member
}

func newServer(w *world) *server {
	s := &server{
		w: w, node: node.New(), links: map[node.StreamID]*link{}, records: map[string]roster.Record{},
		holder: map[string]*link{}, sent: map[uint64]*decoded{},
	}
	s.last++
	var fx node.Effects
	s.node.Apply(w.now, node.Attach{Stream: s.last, TimeoutMillis: 10_000}, &fx)
	id := fx.Replies[0].Message.(node.Attached).Session
	for task := range w.setup.refused {
		s.node.Apply(w.now, node.Create{From: node.From{Stream: s.last, Session: id}, Semaphore: task, Limit: 1}, &fx)
	}

	return s
}

// owner returns the link whose session owns the semaphore of the task at the server.
func (s *server) owner(task string) *link {
	if l := s.holder[task]; l != nil && l.owned[task] && l.lives() {
		return l
	}

	return nil
}

func (s *server) apply(r node.Request) {
	var fx node.Effects
	s.node.Apply(s.w.now, r, &fx)
	for _, reply := range fx.Replies {
		if l := s.links[reply.Stream]; l != nil {
			l.answer(reply.Message)
		}
	}
	if fx.Wake != s.wake {
		s.wake = fx.Wake
		if wake := fx.Wake; wake != 0 {
			s.w.events.push(wake, func() {
				if s.wake == wake {
					s.apply(node.Tick{})
				}
			})
		}
	}
}

// members decodes the description of the membership semaphore.
func (s *server) members(d *node.Description) []roster.Member {
	var all []roster.Member
	for _, o := range d.Owners {
		s.w.count.Described += len(o.Data)
		known := s.sent[o.Session]
		if known == nil || known.data != &o.Data[0] {
			m, err := roster.Decode(o.Session, o.OrderID, o.Data)
			if err != nil {
				s.w.fail("%v", err)
			}
			known = &decoded{&o.Data[0], m}
			s.sent[o.Session] = known
		}
		all = append(all, known.member)
	}

	return all
}

func (c *counts) add(o counts) {
	v, w := reflect.ValueOf(c).Elem(), reflect.ValueOf(o)
	for i := range v.NumField() {
		v.Field(i).SetInt(v.Field(i).Int() + w.Field(i).Int())
	}
}

// since returns the difference to an earlier count.
func (c counts) since(o counts) counts {
	v, w := reflect.ValueOf(&c).Elem(), reflect.ValueOf(o)
	for i := range v.NumField() {
		v.Field(i).SetInt(v.Field(i).Int() - w.Field(i).Int())
	}

	return c
}

func (c *counts) missing() (err error) {
	v := reflect.ValueOf(*c)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			err = errors.Join(err, fmt.Errorf("%s did not happen", v.Type().Field(i).Name))
		}
	}

	return err
}
