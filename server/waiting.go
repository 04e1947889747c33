package server

import (
	"container/list"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// leastWaiting is how many calls may wait for their first message, also if the server may serve fewer streams.
const leastWaiting = 1_000

// lateStart is how long a server that stops still waits for the first messages of calls. They are about to arrive,
// except from clients that do not mean to send one. A call that ends before its first message gets the status CANCELLED
// from gRPC, which looks as if the client had given it up.
const lateStart = 100 * time.Millisecond

// waiting contains the calls whose first message has not arrived, longest first.
type waiting struct {
	mu      sync.Mutex // guards the rest
	calls   list.List  // of *call
	stopped bool       // add refuses
}

var errNotStarted = status.Error(codes.Unavailable, "the server is stopping: connect again")

// add adds a call. It returns false if the server is stopping. If there are more than most calls then, it removes and
// returns the one that has waited longest: most clients send their first message immediately.
func (w *waiting) add(c *call, most int) (victim *call, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return nil, false
	}
	if w.calls.Len() >= most {
		victim = w.calls.Remove(w.calls.Front()).(*call)
		victim.place = nil
	}
	c.place = w.calls.PushBack(c)

	return victim, true
}

func (w *waiting) remove(c *call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.place != nil {
		w.calls.Remove(c.place)
		c.place = nil
	}
}

// stop makes add refuse further calls.
func (w *waiting) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
}

// end ends the calls, so that the server does not wait for them when it stops.
func (w *waiting) end() {
	for _, c := range w.all() {
		c.end()
	}
}

func (w *waiting) all() (calls []*call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for e := w.calls.Front(); e != nil; e = e.Next() {
		calls = append(calls, e.Value.(*call))
	}

	return calls
}
