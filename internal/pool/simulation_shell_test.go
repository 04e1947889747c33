package pool_test

import (
	"slices"
	"time"

	"tenure/internal/node"
	"tenure/internal/pool"
	"tenure/internal/roster"
)

// input passes something to the core and carries out what follows from it.
func (k *worker) input(f func()) {
	k.w.count.Inputs++
	f()
	for steps := k.core.Take(); len(steps) > 0; steps = k.core.Take() {
		for _, step := range steps {
			k.do(step)
		}
	}
	if weight := k.core.Load(); weight > k.config.Capacity && !k.overweight && (k.link == nil || !k.link.late) {
		k.w.fail("%s runs and owns tasks of weight %d: its capacity is %d", k.name, weight, k.config.Capacity)
	}
	k.finish()
	k.setTimer()
}

// finish ends the worker when nothing is left to do.
func (k *worker) finish() {
	if _, ok := k.core.Finished(); ok && !k.draining {
		k.finished = true
		k.drain()
	}
	if !k.draining || k.dead || !k.core.Still() {
		return
	}
	if k.link != nil {
		l := k.link
		k.shut()
		l.send(l.end)
		l.gone = true
	}
	if len(k.core.Running()) == 0 {
		k.w.log("%s: ends", k.name)
		k.leave()
	}
}

func (k *worker) setTimer() {
	wake := k.core.Wake()
	if wake == 0 || k.dead {
		k.ticks = 0

		return
	}
	at := max(wake.Add(-k.offset), k.w.now)
	if at == k.ticks {
		return
	}
	k.ticks = at
	k.w.events.push(at, func() {
		if k.ticks == at && !k.dead {
			k.ticks = 0
			k.input(func() { k.core.Tick(k.now()) })
		}
	})
}

func (k *worker) do(step pool.Step) {
	w := k.w
	switch step := step.(type) {
	case pool.Announce:
		k.announce(step.Announcement)
	case pool.Ask:
		k.ask(step.Task)
	case pool.Leave:
		k.cancel(step.Task)
	case pool.Peek:
		w.count.Peeks++
	case pool.Start:
		k.call(step.Task)
	case pool.Stop:
		if step.Why == pool.Moved {
			w.count.Moves++
		}
		k.tellToStop(step.Task, step.Why)
	case pool.Write:
		k.write(step.Task, step.Record)
	case pool.Release:
		k.release(step.Task)
	case pool.Tell:
		k.hear(step.Event)
	}
}

func (k *worker) hear(e pool.Event) {
	w := k.w
	w.log("%s: %T%+v", k.name, e, e)
	switch e := e.(type) {
	case pool.GivenBack:
		w.count.GivenBack++
	case pool.Adopted:
		w.count.Adopted++
	case pool.Stuck:
		w.count.Stuck++
	case pool.Unassigned:
		k.unassigned, k.toldAt = e.Tasks, w.now
	case pool.Mismatch:
		k.mismatch = e.Workers
	}
}

func (k *worker) announce(a roster.Announcement) {
	l, epoch := k.link, k.core.Epoch()
	data := a.Encode()
	k.w.count.Announcements++
	k.w.count.Announced += len(data)
	l.acquire(members, "", 1, data, func(node.Message) { k.input(func() { k.core.Announced(k.now(), epoch, nil) }) })
}

// ask acquires a task and then reads its record.
func (k *worker) ask(t *pool.Task) {
	l := k.link
	j := &job{link: l}
	k.jobs[t] = j
	second := int(k.w.elapsed() / time.Second)
	if k.asks.tasks == nil || k.asks.second != second {
		k.asks.second, k.asks.tasks = second, map[string]int{}
	}
	if k.asks.tasks[t.Name]++; k.asks.tasks[t.Name] > 15 {
		k.w.fail("%s asks for %s again and again", k.name, t.Name)
	}
	l.asked[t.Name] = k.w.now
	k.w.count.Acquires++
	l.acquire(t.Name, t.Name, node.Forever, nil, func(m node.Message) {
		a := m.(node.Acquired)
		switch {
		case j.cancelled:
		case a.Status != node.Success:
			delete(k.jobs, t)
			k.input(func() { k.core.Missed(k.now(), t, errTask) })
		default:
			j.granted = true
			k.read(l, t)
		}
	})
	if l.gone {
		k.w.fail("%s asks for %s without a session", k.name, t.Name)
	}
}

func (k *worker) read(l *link, t *pool.Task) {
	var r roster.Record
	done := l.unlessLost(func(error) {
		if !l.gone {
			k.w.own(k, t.Name)
		}
		k.w.log("%s: is granted %s", k.name, t.Name)
		k.input(func() { k.core.Granted(k.now(), t, r, r.Wait(k.date())) })
	})
	k.w.count.Records++
	l.send(func() {
		known := k.w.server.records[t.Name]
		l.receive(func() {
			r = known
			done(nil)
		})
	})
}

// cancel ends an acquire. If it was granted before, the grant counts.
func (k *worker) cancel(t *pool.Task) {
	j := k.jobs[t]
	missed := func() {
		delete(k.jobs, t)
		k.input(func() { k.core.Missed(k.now(), t, nil) })
	}
	l := j.link
	if j.granted {
		return // it was granted before
	}
	if l.gone || k.link != l {
		j.cancelled = true
		k.w.after(k.w.delay(), func() {
			if !k.dead {
				missed()
			}
		})

		return
	}
	j.cancelled = true
	k.w.count.Releases++
	done := l.unlessLost(func(error) { missed() })
	l.call(t.Name, func(req uint64) node.Request {
		return node.Release{From: l.from, Req: req, Semaphore: t.Name}
	}, func(node.Message) { done(nil) })
}

// call calls the function of a task.
func (k *worker) call(t *pool.Task) {
	w := k.w
	j := k.jobs[t]
	if w.owners[t.Name] != k {
		w.fail("%s runs %s, which it does not own", k.name, t.Name)
	}
	r := &run{began: w.now}
	j.run = r
	w.runs[t.Name]++
	w.active++
	w.starts[t.Name]++
	w.begun = append(w.begun, start{w.now, t.Name, k.name})
	w.log("%s: runs %s", k.name, t.Name)
	k.core.Started(k.now(), t, k.date())
	if b := w.work(t.Name); b.returns != 0 {
		w.after(b.returns, func() { k.returns(t, j, b.err) })
	}
}

func (k *worker) tellToStop(t *pool.Task, why pool.Reason) {
	j := k.jobs[t]
	j.run.told = true
	k.w.active--
	k.w.log("%s: tells %s to stop: %d", k.name, t.Name, why)
	k.w.after(k.w.work(t.Name).stop, func() { k.returns(t, j, nil) })
}

func (k *worker) returns(t *pool.Task, j *job, err error) {
	r := j.run
	if r.ended || k.dead {
		return
	}
	r.ended = true
	k.w.runs[t.Name]--
	if !r.told {
		k.w.active--
	}
	k.w.log("%s: %s returns %v", k.name, t.Name, err)
	held := k.link == j.link
	if !held {
		delete(k.jobs, t)
	}
	k.input(func() {
		k.core.Ended(k.now(), t, pool.Result{Err: err, Told: r.told, Held: held, Ran: k.w.now.Sub(r.began)})
	})
}

// write writes a record. The server refuses it if the session is over.
func (k *worker) write(t *pool.Task, r roster.Record) {
	l := k.jobs[t].link
	r.At = k.date()
	done := l.unlessLost(func(err error) { k.input(func() { k.core.Written(k.now(), t, err) }) })
	k.w.count.Records++
	l.send(func() {
		if l.lives() {
			k.w.server.records[t.Name] = r
			l.receive(func() { done(nil) })
		}
	})
}

// release releases a task.
func (k *worker) release(t *pool.Task) {
	j := k.jobs[t]
	l := j.link
	k.w.disown(k, t.Name)
	k.w.count.Releases++
	done := l.unlessLost(func(error) {
		if k.jobs[t] == j {
			delete(k.jobs, t)
		}
		k.input(func() { k.core.Released(k.now(), t) })
	})
	l.call(t.Name, func(req uint64) node.Request {
		return node.Release{From: l.from, Req: req, Semaphore: t.Name}
	}, func(node.Message) { done(nil) })
}

// unlessLost returns a function that calls f once. If the session is lost before, f is called with an error.
func (l *link) unlessLost(f func(error)) func(error) {
	l.next++
	key := l.next
	once := func(err error) {
		if _, ok := l.onLoss[key]; ok && !l.worker.dead {
			delete(l.onLoss, key)
			f(err)
		}
	}
	l.onLoss[key] = func() {
		l.w.after(l.w.between(0, pick(l.w, l.w.latency, 2*time.Second)), func() { once(errTask) })
	}

	return once
}

// spread returns how many tasks each worker runs, in ascending order.
func (w *world) spread() (all []int) {
	for _, k := range w.workers {
		all = append(all, k.running())
	}
	slices.Sort(all)

	return all
}
