package ownership_test

import (
	"container/heap"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"

	"tenure/internal/ownership"
	"tenure/internal/store"
)

// Durations of a schedule, in ms.
const (
	ttl      = 300 // of a server's registration
	timeout  = 60  // of a transaction
	faulty   = 700
	settling = 1_300 // how long the effects of faults may last
	last     = 300   // in which requests are answered after that
)

// The spaces of a schedule. The catalog's batches drop others.
const (
	catalog   store.Space = 0
	lastSpace store.Space = 2
)

// world is one schedule: servers, an etcd and their clients, in one goroutine. Everything follows from the seed.
type world struct {
	seed    uint64
	rand    *rand.Rand
	now     int64
	events  events
	counter int64 // orders events, and stands for the time in checks
	trace   io.Writer

	etcd    *etcd
	down    int64 // until then, etcd does not answer
	servers []*server
	born    int
	ids     []string // of all servers that ever lived
	hosts   []*host
	truth   map[store.Space]*truth
	asked   int // requests so far
	calm    bool
	odds    faults
	hit     faults
	breaks  breaks
}

// faults is a counter or a weight for each kind of fault.
type faults struct {
	Lose, LoseAnswer, Late, Again, NoSpace, Outage, Cut, Pause, Kill, Expire, Abandon, HandOver, Compact, Drop int
	Refuse, Remove                                                                                             int
	// These happen by themselves.
	Deposed, Parts, Torn, Folds, Stale, Repeated int
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

// broken is the panic value with which a failed check ends the schedule.
type broken string

func newWorld(seed uint64, b breaks) *world {
	w := &world{
		seed: seed, rand: rand.New(rand.NewPCG(seed, 0)), etcd: newEtcd(), truth: make(map[store.Space]*truth), breaks: b,
	}
	w.odds.each(func(_ string, n *int) { // many schedules with a few faults each find more than one with all faults
		if w.chance(0.4) {
			*n = 1 + w.rand.IntN(4)
		}
	})
	for s := range lastSpace + 1 {
		w.truth[s] = newTruth()
	}
	for range 2 + w.rand.IntN(2) {
		w.startServer()
	}

	return w
}

// run runs the schedule and returns the first failed check, or nil.
func (w *world) run() (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case broken:
			err = fmt.Errorf("seed %d, at %d: %s", w.seed, w.now, string(r))
		default:
			panic(r)
		}
	}()
	w.after(0, w.client)
	w.after(w.between(0, 50), w.fault)
	w.until(faulty)
	w.log("-- calm")
	w.calm, w.odds, w.down = true, faults{}, 0
	for _, s := range w.servers {
		s.cut = 0
		s.resume()
	}
	w.until(faulty + settling)
	first := w.asked + 1
	for _, s := range w.servers {
		for space := range lastSpace + 1 {
			w.insist(s, space)
		}
	}
	w.until(faulty + settling + last)
	w.settled(first)

	return nil
}

func (w *world) until(end int64) {
	for len(w.events) > 0 && w.events[0].at <= end {
		e := heap.Pop(&w.events).(*event)
		w.now = e.at
		w.counter++
		e.do()
	}
	w.now = end
}

func (w *world) after(d int64, f func()) {
	w.counter++
	heap.Push(&w.events, &event{w.now + d, w.counter, f})
}

func (w *world) fail(format string, args ...any) { panic(broken(fmt.Sprintf(format, args...))) }

func (w *world) log(format string, args ...any) {
	if w.trace != nil {
		fmt.Fprintf(w.trace, "%6d  %s\n", w.now, fmt.Sprintf(format, args...))
	}
}

func (w *world) chance(p float64) bool          { return w.rand.Float64() < p }
func (w *world) between(low, high int64) int64  { return low + w.rand.Int64N(high-low+1) }
func (w *world) odd(weight int, p float64) bool { return weight > 0 && w.chance(p*float64(weight)) }

// client sends a request, and plans the next one. Half of the clients know who owns the space.
func (w *world) client() {
	space := store.Space(w.rand.Uint64N(uint64(lastSpace) + 1))
	s := w.servers[w.rand.IntN(len(w.servers))]
	if kv, ok := w.etcd.kv(ownership.OwnerKey(space)); ok && w.chance(0.8) {
		o, _ := ownership.DecodeOwner(kv)
		if owner := w.server(o.Server); owner != nil {
			s = owner
		}
	}
	k := grant
	switch {
	case space == catalog && w.odd(w.odds.Drop, 0.05):
		k = dropSpace
	case w.chance(0.4):
		k = read
	case w.chance(0.2):
		k = forget
	}
	w.ask(s, space, k)
	if w.calm {
		w.after(w.between(0, 150), w.client)
	} else {
		w.after(w.between(0, 20), w.client)
	}
}

// insist sends a request that must be answered.
func (w *world) insist(s *server, space store.Space) {
	r := w.ask(s, space, grant)
	w.truth[space].waiting[r.id] = r
}

// again sends a request again if it must be answered.
func (w *world) again(r *request) {
	if waiting := w.truth[r.space].waiting; waiting[r.id] != nil {
		delete(waiting, r.id)
		w.insist(r.front, r.space)
	}
}

// anyone returns a server, which may be dead, or "".
func (w *world) anyone() string {
	switch {
	case w.chance(0.3):
		return ""
	case w.chance(0.2):
		return w.ids[w.rand.IntN(len(w.ids))]
	}

	return w.servers[w.rand.IntN(len(w.servers))].id
}

// server returns the living server with the id, or nil.
func (w *world) server(id string) *server {
	for _, s := range w.servers {
		if s.id == id {
			return s
		}
	}

	return nil
}

// ask sends a request to a server.
func (w *world) ask(s *server, space store.Space, k kind) *request {
	w.asked++
	t := w.truth[space]
	r := &request{
		id: w.asked, kind: k, space: space, sent: w.counter, acked: t.acked, durable: t.last, dropped: t.dropped, front: s,
	}
	w.after(w.between(0, 5), func() { s.run(func() { s.receive(r) }) })

	return r
}

// fault causes a fault, and plans the next one.
func (w *world) fault() {
	if w.calm {
		return
	}
	w.after(w.between(0, 60), w.fault)
	s := w.servers[w.rand.IntN(len(w.servers))]
	var h *host
	for _, space := range slices.Sorted(maps.Keys(s.hosts)) {
		if h == nil || w.chance(0.5) {
			h = s.hosts[space]
		}
	}
	switch o := &w.odds; {
	case w.odd(o.Outage, 0.02):
		w.hit.Outage++
		w.down = w.now + w.between(0, 3*timeout)
	case w.odd(o.Cut, 0.05):
		w.hit.Cut++
		s.cut = w.now + w.between(0, 3*ttl)
		w.expireIf(s, func() bool { return s.cut > w.now })
	case w.odd(o.Pause, 0.05):
		w.hit.Pause++
		s.pause(w.between(0, 3*ttl))
		w.expireIf(s, func() bool { return s.paused })
	case w.odd(o.Kill, 0.03):
		w.hit.Kill++
		s.kill()
		w.startServer()
		w.expireIf(s, func() bool { return true })
	case w.odd(o.Expire, 0.05): // even though the server renews it
		w.hit.Expire++
		w.expire(s)
		if h != nil { // another server claims its space, and clients still ask this one
			w.ask(w.servers[w.rand.IntN(len(w.servers))], h.space, grant)
			for range 3 {
				w.after(w.between(0, 40), func() { w.ask(s, h.space, read) })
			}
		}
	case h != nil && w.odd(o.Abandon, 0.05):
		w.hit.Abandon++
		s.run(func() { h.abandon() })
	case h != nil && w.odd(o.HandOver, 0.05):
		to := w.anyone() // which may be dead
		s.run(func() { h.handOver(to) })
	case w.odd(o.Compact, 0.05):
		w.hit.Compact++
		w.etcd.compacted = w.etcd.revision
	}
}

func (w *world) expireIf(s *server, still func() bool) {
	w.after(ttl+w.between(0, 50), func() {
		if still() {
			w.expire(s)
		}
	})
}

func (w *world) expire(s *server) {
	w.log("%s expires", s.id)
	w.remove(s.id)
}

// remove deletes the registration of a server.
func (w *world) remove(id string) {
	_, _ = w.apply(nil, nil, ownership.Txn{
		Then: []ownership.Op{{Kind: ownership.Delete, Key: ownership.ServerKey(id)}},
	})
}

// transmit sends a transaction of the host to etcd. It calls answer with the result, or unknown.
func (w *world) transmit(h *host, b *batch, t ownership.Txn, answer func(ownership.Result, error), unknown func()) {
	s := h.server
	t = w.breaks.change(t)
	carryOut := func() (ownership.Result, error) { return w.apply(h, b, t) }
	there, back := w.between(0, 4), w.between(0, 4)
	if reads := len(t.If) == 0; w.chance(0.05) || reads && w.chance(0.3) {
		back = w.between(0, timeout-10)
	}
	gone := func() bool { return w.down > w.now || s.cut > w.now }
	switch {
	case gone() || w.odd(w.odds.Lose, 0.02):
		w.hit.Lose++
		w.after(timeout, unknown)
		if w.odd(w.odds.Late, 0.1) {
			w.hit.Late++
			w.after(timeout+w.between(0, 10*timeout), func() { _, _ = carryOut() })
		}
	case w.odd(w.odds.LoseAnswer, 0.03):
		w.hit.LoseAnswer++
		w.after(there, func() { _, _ = carryOut() })
		w.after(timeout, unknown)
		if w.odd(w.odds.Again, 0.2) { // the network delivers the request twice
			w.hit.Again++
			w.after(there+w.between(0, 10*timeout), func() { _, _ = carryOut() })
		}
	case w.odd(w.odds.Late, 0.02):
		w.hit.Late++
		w.after(timeout, unknown)
		w.after(timeout+w.between(0, 10*timeout), func() { _, _ = carryOut() })
	case w.odd(w.odds.NoSpace, 0.02): // etcd may or may not have carried out what it reports this error for
		w.hit.NoSpace++
		if w.chance(0.5) {
			w.after(there, func() { _, _ = carryOut() })
		}
		w.after(there+back, unknown)
	default:
		w.after(there, func() {
			r, err := carryOut()
			w.after(back, func() { answer(r, err) })
		})
	}
}

// apply carries out a transaction and checks what it did.
func (w *world) apply(h *host, b *batch, t ownership.Txn) (ownership.Result, error) {
	before := w.owners()
	lag := int64(0)
	proof := len(t.If) == 0 && len(t.Then) == 1 && strings.HasPrefix(t.Then[0].Key, ownership.OwnerKeys)
	if w.breaks == staleReads && proof {
		lag = w.rand.Int64N(5)
	}
	was := w.etcd.revision
	r, err := w.etcd.apply(t, lag)
	if err == nil && w.etcd.revision > was {
		w.changed(h, b, t, r, before)
	}

	return r, err
}

// owners returns the owner's keys.
func (w *world) owners() (kvs [lastSpace + 1]ownership.KV) {
	for space, key := range ownerKeys {
		kvs[space], _ = w.etcd.kv(key)
	}

	return kvs
}

var ownerKeys = [lastSpace + 1]string{ownership.OwnerKey(0), ownership.OwnerKey(1), ownership.OwnerKey(2)}

type event struct {
	at    int64
	order int64
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
	*h = (*h)[:last]

	return e
}
