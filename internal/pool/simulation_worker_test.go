package pool_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/pool"
	"tenure/internal/roster"
)

const members = "pool#members"

// A worker is a process with a core. It models the shell of package workers.
type worker struct {
	w      *world
	name   string // of the process
	config pool.Config
	core   *pool.Core
	specs  []pool.Spec
	offset time.Duration // of its clock
	skew   time.Duration // of its dates

	link     *link  // the session; nil: there is none
	dialing  *link  // the newest session
	opening  uint64 // counts attempts, to drop old ones
	jobs     map[*pool.Task]*job
	ticks    clock.Instant
	draining bool
	dead     bool // it has crashed or ended

	asks struct { // in the present second
		second int
		tasks  map[string]int
	}

	overweight bool // the sum of weights may be above the capacity
	unassigned []string
	toldAt     clock.Instant // of unassigned
	mismatch   []string
	finished   bool
}

// A job is a task from the acquire to the release.
type job struct {
	link      *link
	granted   bool
	cancelled bool
	run       *run
}

// A run is a call of a function.
type run struct {
	began clock.Instant
	told  bool
	ended bool
}

var errTask = errors.New("the task has failed")

// start starts a process.
func (w *world) start(c pool.Config) *worker {
	w.born++
	if c.Worker == "" {
		c.Worker = fmt.Sprintf("worker-%03d", w.born)
	}
	k := &worker{
		w: w, name: fmt.Sprintf("%s/%d", c.Worker, w.born), config: c, core: pool.New(c), jobs: map[*pool.Task]*job{},
		offset: w.between(0, time.Hour), skew: w.between(-time.Second, time.Second),
	}
	w.workers = append(w.workers, k)
	w.log("%s: starts, %+v", k.name, c)
	k.list(w.specs)
	k.open()

	return k
}

func (k *worker) now() clock.Instant { return k.w.now.Add(k.offset) }
func (k *worker) date() time.Time    { return base.Add(k.w.elapsed() + k.skew) }

func (k *worker) list(specs []pool.Spec) {
	k.specs = specs
	k.input(func() { k.core.SetTasks(k.now(), specs) })
}

// open opens a session and joins the pool.
func (k *worker) open() {
	if k.dead || k.draining || k.link != nil {
		return
	}
	k.opening++
	opening := k.opening
	k.w.dial(k, func(l *link) {
		if k.draining || k.opening != opening {
			l.end()

			return
		}
		k.link = l
		var a roster.Announcement
		k.input(func() { a = k.core.Open(k.now(), l.from.Session) })
		join := func(node.Message) {
			l.acquire(members, "", 1, a.Encode(), func(node.Message) {
				l.share = k.w.now
				k.look(l)
			})
		}
		if k.config.Named {
			l.acquire("pool#worker="+k.config.Worker, "", node.Forever, nil, join)
		} else {
			join(nil)
		}
	})
}

// acquire acquires a semaphore: a share of it, or all of it.
func (l *link) acquire(name, task string, count uint64, data []byte, then func(node.Message)) {
	l.call(task, func(req uint64) node.Request {
		return node.Acquire{
			From: l.from, Req: req, Semaphore: name, Count: count, TimeoutMillis: node.Forever, Ephemeral: true, Data: data,
		}
	}, then)
}

// look reads the announcements, again and again.
func (k *worker) look(l *link) {
	if l.gone {
		return
	}
	changed, paused, again := false, false, false
	next := func() {
		if paused && changed && !again && !l.gone && !k.dead {
			again = true
			k.look(l)
		}
	}
	k.w.count.Describes++
	first := true
	l.call("", func(req uint64) node.Request {
		return node.Describe{From: l.from, Req: req, Semaphore: members, IncludeOwners: true, WatchOwners: true}
	}, func(m node.Message) {
		d, ok := m.(node.Described)
		if !ok || !first {
			changed = true
			next()

			return
		}
		first = false
		all := k.w.server.members(d.Semaphore)
		k.input(func() { k.core.View(k.now(), all) })
		k.w.after(lookPause(len(all)), func() {
			paused = true
			next()
		})
		k.w.after(poll, func() {
			changed = true
			next()
		})
	})
}

// poll is longer than in package workers, because the model loses no notice of a change.
const poll = time.Minute

// lookPause is that of package workers.
func lookPause(members int) time.Duration {
	return 10*time.Millisecond + 2*time.Millisecond*time.Duration(members)
}

// lose ends the session at the worker's side. The network is back after a while.
func (k *worker) lose(back time.Duration) {
	l := k.link
	if l == nil {
		l = k.dialing
	}
	l.gone = true
	k.w.count.Lost++
	k.w.log("%s: loses its session", k.name)
	k.shut()
	for _, key := range slices.Sorted(maps.Keys(l.onLoss)) {
		l.onLoss[key]()
	}
	k.opening++
	k.w.after(back, func() {
		if k.w.chance(0.5) {
			k.endOld(l)
		}
		k.open()
	})
}

// endOld ends a lost session on the server when no function runs under it any more.
func (k *worker) endOld(l *link) {
	for _, j := range k.jobs {
		if j.link == l && j.run != nil && !j.run.ended {
			k.w.after(time.Second, func() { k.endOld(l) })

			return
		}
	}
	l.end()
}

// shut ends all that depends on the session.
func (k *worker) shut() {
	l := k.link
	if k.link = nil; l == nil {
		return
	}
	k.input(func() { k.core.Shut(k.now()) })
	for _, t := range k.held() {
		j := k.jobs[t]
		if j.link != l {
			continue
		}
		k.w.disown(k, t.Name)
		if j.run != nil && !j.run.told && !j.run.ended {
			k.tellToStop(t, pool.Lost)
		}
	}
}

// held returns the tasks with jobs.
func (k *worker) held() []*pool.Task {
	return slices.SortedFunc(maps.Keys(k.jobs), func(a, b *pool.Task) int { return strings.Compare(a.Name, b.Name) })
}

// drain makes the worker leave.
func (k *worker) drain() {
	if k.dead || k.draining {
		return
	}
	k.w.log("%s: drains", k.name)
	k.draining = true
	k.input(func() { k.core.Drain(k.now()) })
}

// crash ends the process. The server notices immediately, or ends the session immediately.
func (k *worker) crash(embedded bool) {
	k.w.log("%s: crashes", k.name)
	k.leave()
	for _, t := range k.held() {
		j := k.jobs[t]
		k.w.disown(k, t.Name)
		if j.run != nil && !j.run.ended {
			j.run.ended = true
			k.w.runs[t.Name]--
			if !j.run.told {
				k.w.active--
			}
		}
	}
	if l := k.dialing; l != nil && embedded {
		l.end()
	} else if l != nil {
		l.detach()
	}
}

// leave removes the worker from the world.
func (k *worker) leave() {
	k.dead = true
	for i, o := range k.w.workers {
		if o == k {
			k.w.workers = append(k.w.workers[:i:i], k.w.workers[i+1:]...)
		}
	}
}

// could reports whether the worker could take a free task, for all that it knows.
func (k *worker) could(s pool.Spec) bool {
	return k.link != nil && !k.link.cut && k.link.share != 0 && !k.draining && k.core.Could(k.now(), s.Name)
}

// runs returns the tasks whose functions run and were not told to stop.
func (k *worker) running() (n int) {
	for _, j := range k.jobs {
		if j.run != nil && !j.run.ended && !j.run.told {
			n++
		}
	}

	return n
}

// names returns the names of these tasks.
func (k *worker) names() (all []string) {
	for _, t := range k.held() {
		if j := k.jobs[t]; j.run != nil && !j.run.ended && !j.run.told {
			all = append(all, t.Name)
		}
	}

	return all
}
