package pool_test

import (
	"time"

	"tenure/internal/clock"
	"tenure/internal/node"
)

// A link is a session of a worker and the stream under it. Messages stay in order in both directions.
type link struct {
	w        *world
	worker   *worker
	from     node.From
	next     uint64
	share    clock.Instant // when it has joined the pool
	pending  map[uint64]func(node.Message)
	tasks    map[uint64]string // of the acquires and releases
	owned    map[string]bool   // tasks that the session owns at the server
	weight   int
	asked    map[string]clock.Instant
	late     bool          // a greedy worker has been granted a task that it did not expect any more
	up, down clock.Instant // arrival of the newest message

	cut      bool // messages wait
	waiting  []func()
	onLoss   map[uint64]func() // ends the calls that return when the session is lost
	gone     bool              // the worker has given the session up
	detached bool              // the server has lost the stream
}

// dial opens a session and passes the link to then.
func (w *world) dial(by *worker, then func(*link)) {
	w.server.last++
	l := &link{
		w: w, worker: by, from: node.From{Stream: w.server.last}, pending: map[uint64]func(node.Message){},
		tasks: map[uint64]string{}, owned: map[string]bool{}, asked: map[string]clock.Instant{}, onLoss: map[uint64]func(){},
	}
	w.server.links[l.from.Stream] = l
	by.dialing = l
	l.pending[0] = func(m node.Message) {
		l.from.Session = m.(node.Attached).Session
		then(l)
	}
	l.send(func() {
		w.server.apply(node.Attach{Stream: l.from.Stream, TimeoutMillis: uint64(by.config.Timeout.Milliseconds())})
	})
}

// send makes f happen at the server.
func (l *link) send(f func()) {
	l.up = max(l.up, l.w.now.Add(l.w.delay()))
	l.w.events.push(l.up, func() { l.pass(f) })
}

// receive makes f happen at the worker.
func (l *link) receive(f func()) {
	l.down = max(l.down, l.w.now.Add(l.w.delay()))
	l.w.events.push(l.down, func() {
		l.pass(func() {
			if !l.gone && !l.worker.dead {
				f()
			}
		})
	})
}

func (l *link) pass(f func()) {
	if l.cut {
		l.waiting = append(l.waiting, f)
	} else {
		f()
	}
}

// call sends a request and passes its answer to then.
func (l *link) call(task string, r func(req uint64) node.Request, then func(node.Message)) {
	l.next++
	req := l.next
	l.pending[req] = then
	if task != "" {
		l.tasks[req] = task
	}
	l.send(func() { l.w.server.apply(r(req)) })
}

// answer handles a message of the node, when it is sent.
func (l *link) answer(m node.Message) {
	req := uint64(0)
	switch m := m.(type) {
	case node.Acquired:
		req = m.Req
		if task := l.tasks[req]; task != "" && m.Acquired {
			l.took(task)
		}
	case node.Released:
		req = m.Req
		if task := l.tasks[req]; task != "" && l.owned[task] {
			delete(l.owned, task)
			l.weight -= l.w.weight(task)
		}
	case node.Described:
		req = m.Req
	case node.Changed:
		req = m.Req
	case node.AcquirePending, node.Stopped, node.Failure:
		return
	}
	l.receive(func() {
		if then := l.pending[req]; then != nil {
			if _, watches := m.(node.Described); !watches {
				delete(l.pending, req)
			}
			then(m)
		}
	})
}

// took notes that the server has granted a task, and checks how much the worker owns.
func (l *link) took(task string) {
	l.owned[task] = true
	l.weight += l.w.weight(task)
	l.w.server.holder[task] = l
	k := l.worker
	l.late = l.late || k.config.Greedy && l.w.now.Sub(l.asked[task]) > 200*time.Millisecond
	if limit := k.config.Capacity; !k.dead && l.weight > limit && !k.overweight && !l.late {
		l.w.fail("%s owns tasks of weight %d: its capacity is %d", k.name, l.weight, limit)
	}
}

func (w *world) weight(task string) int { return max(w.weights[task], 1) }

// lives reports whether the server has the session.
func (l *link) lives() bool {
	if !l.detached {
		return true
	}
	_, ok := l.w.server.node.Detached(l.from.Session)

	return ok
}

// detach makes the server notice that the stream has broken. The timeout of the session begins.
func (l *link) detach() {
	if !l.detached {
		l.detached = true
		l.w.server.apply(node.Detach{Stream: l.from.Stream})
	}
}

// end ends the session at the server.
func (l *link) end() {
	l.detach()
	l.w.server.apply(node.Expire{Session: l.from.Session})
}

// part cuts the worker off for a while. If that is long, the worker gives the session up before the server does.
func (l *link) part(d time.Duration) {
	if l.cut || l.gone {
		return
	}
	w, k := l.w, l.worker
	l.cut = true
	w.count.Cuts++
	deadline := k.config.Timeout * 7 / 10
	if d < deadline {
		w.after(d, func() {
			l.cut = false
			waiting := l.waiting
			l.waiting = nil
			for _, f := range waiting {
				f()
			}
		})

		return
	}
	w.after(w.between(0, time.Second), l.detach)
	w.after(deadline, func() {
		if !k.dead && !l.gone {
			k.lose(d - deadline)
		}
	})
}
