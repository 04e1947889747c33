package server

import (
	"container/heap"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/serverconfig"
)

// The pauses between the tries of one lifeline double from minPause to maxPause. Many suspects have longer ones: each
// adds pauseEach to the longest, so that in the long run all together are tried a thousand times a second.
const (
	minPause  = time.Millisecond
	maxPause  = 250 * time.Millisecond
	pauseEach = time.Millisecond
)

// reaper ends the detached sessions of one node whose lifelines are cut. A session becomes a suspect when its stream
// ends, or when the node is loaded, and is tried again and again until it is attached, or over: the kernel closes what
// a dying process had open one after another, so that the lifeline may be cut later than the stream; and a process
// that has inherited the lifeline may live longer.
//
// The owner says who is a suspect, and never waits for a try. Another goroutine, run, tries; it hands the owner what is
// to be done, as streams do. A session that is attached again while it is tried is none that Expire ends.
type reaper struct {
	lifelines serverconfig.Lifelines
	clock     clock.Clock
	log       *slog.Logger
	inbox     chan<- input  // the owner's
	wake      chan struct{} // capacity 1: somebody is to be tried earlier than was known; nobody closes it

	mu       sync.Mutex // guards the rest; not held during a try
	suspects map[uint64]*suspect
	queue    suspectQueue // the same
}

// suspect is a detached session that has a protection key, and so may have a lifeline.
type suspect struct {
	node.Detached

	next  clock.Instant // when it is to be tried
	pause time.Duration // before the try at next
	pos   int           // in the queue
}

func newReaper(path string, env *ownerEnv, inbox chan<- input) *reaper {
	return &reaper{
		lifelines: env.lifelines, clock: env.clock, log: env.log.With("node", path), inbox: inbox,
		wake: make(chan struct{}, 1), suspects: make(map[uint64]*suspect),
	}
}

// reapLoaded tries all lifelines of a node that was just loaded, and returns the requests that end whose are cut. The
// other sessions are suspects: their processes may be dying.
func (r *reaper) reapLoaded(ctx context.Context, n *node.Node) (expire []input) {
	for d := range n.AllDetached() {
		if ctx.Err() != nil {
			break
		}
		if d.ProtectionKey == "" {
			continue
		}
		r.suspect(d, minPause)
		if r.try(ctx, d) {
			expire = append(expire, input{req: node.Expire{Session: d.Session}})
		}
	}

	return expire
}

// notice takes note of a session that was attached or detached, or has ended, as the node now says.
func (r *reaper) notice(n *node.Node, session uint64) {
	if d, detached := n.Detached(session); detached && d.ProtectionKey != "" {
		r.suspect(d, 0)
	} else {
		r.clear(session)
	}
}

// suspect has the session tried after the pause. One that is a suspect already stays as it is.
func (r *reaper) suspect(d node.Detached, pause time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()

	if r.suspects[d.Session] != nil {
		return
	}
	s := &suspect{Detached: d, next: r.clock.Now().Add(pause), pause: pause}
	r.suspects[d.Session] = s
	heap.Push(&r.queue, s)
	if s.pos == 0 {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// clear makes the session no suspect, if it is one.
func (r *reaper) clear(session uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()

	if s := r.suspects[session]; s != nil {
		r.remove(s)
	}
}

// remove is called with mu held.
func (r *reaper) remove(s *suspect) {
	heap.Remove(&r.queue, s.pos)
	delete(r.suspects, s.Session)
}

// run tries suspects until ctx ends.
func (r *reaper) run(ctx context.Context) {
	timer := r.clock.NewTimer()
	defer timer.Stop()
	for ctx.Err() == nil {
		now := r.clock.Now()
		d, due, next := r.next(now)
		if due {
			if r.try(ctx, d) {
				r.expire(ctx, d.Session)
			}

			continue
		}
		if next != 0 {
			timer.Set(now, next)
		} else {
			timer.Stop()
		}
		select {
		case <-timer.C():
		case <-r.wake:
		case <-ctx.Done():
		}
	}
}

// expire waits for the owner, which may have too much to do.
func (r *reaper) expire(ctx context.Context, session uint64) {
	select {
	case r.inbox <- input{req: node.Expire{Session: session}}:
	case <-ctx.Done(): // who loads the node next tries all
	}
}

// next returns the suspect that is to be tried now, or else when one is to be; zero: there is none.
func (r *reaper) next(now clock.Instant) (d node.Detached, due bool, next clock.Instant) {
	r.mu.Lock()
	defer r.mu.Unlock()

	for len(r.queue) > 0 {
		s := r.queue[0]
		switch {
		case s.next > now:
			return node.Detached{}, false, s.next
		case s.Deadline <= now: // the node has ended it, or is about to
			r.remove(s)
		default:
			longest := max(maxPause, time.Duration(len(r.queue))*pauseEach)
			s.pause = min(max(2*s.pause, minPause), longest)
			s.next = now.Add(s.pause)
			heap.Fix(&r.queue, 0)

			return s.Detached, true, 0
		}
	}

	return node.Detached{}, false, 0
}

// try reports whether the lifeline is cut. The session is then no suspect any more. Nor is it after a panic, which says
// nothing of it: its timeout runs as ever.
func (r *reaper) try(ctx context.Context, d node.Detached) (cut bool) {
	err := guard(func() error {
		cut = r.lifelines.Cut(d.ProtectionKey)

		return nil
	})
	if p, ok := errors.AsType[*panicError](err); ok {
		r.log.ErrorContext(ctx, "panic while trying a lifeline, the session is left to its timeout",
			"session", d.Session, "panic", p.value, "stack", string(p.stack))
	}
	if cut {
		r.log.DebugContext(ctx, "lifeline is cut, the session ends", "session", d.Session)
	}
	if cut || err != nil {
		r.clear(d.Session)
	}

	return cut
}

// suspectQueue implements heap.Interface; who is to be tried next is in front.
type suspectQueue []*suspect

func (q suspectQueue) Len() int           { return len(q) }
func (q suspectQueue) Less(i, j int) bool { return q[i].next < q[j].next }

func (q suspectQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].pos, q[j].pos = i, j
}

func (q *suspectQueue) Push(x any) {
	s := x.(*suspect)
	s.pos = len(*q)
	*q = append(*q, s)
}

func (q *suspectQueue) Pop() any {
	last := len(*q) - 1
	s := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]

	return s
}
