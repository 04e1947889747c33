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
	"tenure/internal/panics"
	"tenure/internal/serverconfig"
)

// The pauses between two checks of one lifeline double from minPause to maxPause. With many suspects the longest pause
// is pauseEach for each of them, so that all together are checked at most a thousand times a second in the long run.
const (
	minPause  = time.Millisecond
	maxPause  = 250 * time.Millisecond
	pauseEach = time.Millisecond
)

// reaper ends the detached sessions of one node whose lifelines are cut. A session becomes a suspect when its stream
// ends, or when the node is loaded. The reaper checks a suspect repeatedly until it is attached or over. One check is
// not enough: the kernel closes the files of a dying process one after another, so the lifeline may be cut later than
// the stream, and a process that has inherited the lifeline may live longer.
//
// The owner decides which sessions are suspects, and never waits for a check. The goroutine of run makes the checks and
// submits requests to the owner, as streams do. Expire does not end a session that has been attached again meanwhile.
type reaper struct {
	lifelines serverconfig.Lifelines
	clock     clock.Clock
	log       *slog.Logger
	inbox     *inbox        // the owner's
	wake      chan struct{} // capacity 1: the first check is due earlier than before; never closed

	mu       sync.Mutex // guards the rest; not held during a check
	suspects map[uint64]*suspect
	queue    suspectQueue // of the same suspects
}

// suspect is a detached session with a protection key. Only such a session can have a lifeline.
type suspect struct {
	node.Detached

	next  clock.Instant // when the next check is due
	pause time.Duration // before that check
	pos   int           // in the queue
}

func newReaper(path string, env *ownerEnv, inbox *inbox) *reaper {
	return &reaper{
		lifelines: env.lifelines, clock: env.clock, log: env.log.With("node", path), inbox: inbox,
		wake: make(chan struct{}, 1), suspects: make(map[uint64]*suspect),
	}
}

// reapLoaded checks all lifelines of a node that has just been loaded. It returns the requests that end the sessions
// whose lifelines are cut. The other sessions become suspects, since their processes may be dying.
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

// notice updates the suspects after a session has been attached or detached, or has ended.
func (r *reaper) notice(n *node.Node, session uint64) {
	if d, detached := n.Detached(session); detached && d.ProtectionKey != "" {
		r.suspect(d, 0)
	} else {
		r.clear(session)
	}
}

// suspect makes the session a suspect whose first check is due after the pause. It does not change a suspect.
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

// clear removes the session from the suspects, if it is one.
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

// run checks suspects until ctx ends.
func (r *reaper) run(ctx context.Context) {
	timer := r.clock.NewTimer()
	defer timer.Stop()
	for ctx.Err() == nil {
		now := r.clock.Now()
		d, due, next := r.next(now)
		if due {
			if r.try(ctx, d) {
				r.inbox.putOwn(input{req: node.Expire{Session: d.Session}})
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

// next returns a suspect that is due, or else the instant at which one is due; zero if there are no suspects.
func (r *reaper) next(now clock.Instant) (d node.Detached, due bool, next clock.Instant) {
	r.mu.Lock()
	defer r.mu.Unlock()

	for len(r.queue) > 0 {
		s := r.queue[0]
		switch {
		case s.next > now:
			return node.Detached{}, false, s.next
		case s.Deadline <= now: // the node has ended the session, or is about to
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

// try checks a lifeline and reports whether it is cut. If it is, the session is no longer a suspect. After a panic the
// session is no longer a suspect either, and ends by its timeout.
func (r *reaper) try(ctx context.Context, d node.Detached) (cut bool) {
	err := panics.Guard(func() error {
		cut = r.lifelines.Cut(d.ProtectionKey)

		return nil
	})
	if p, ok := errors.AsType[*panics.Error](err); ok {
		r.log.ErrorContext(ctx, "panic while checking a lifeline: leaving the session to its timeout",
			"session", d.Session, "panic", p.Value, "stack", string(p.Stack))
	}
	if cut {
		r.log.DebugContext(ctx, "lifeline cut: ending the session", "session", d.Session)
	}
	if cut || err != nil {
		r.clear(d.Session)
	}

	return cut
}

// suspectQueue implements heap.Interface. The suspect that is due next is in front.
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
