package lock

import (
	"sync"
	"time"

	"tenure/internal/term"
)

// An Option changes how the functions of this package work. They skip nil options.
type Option func(*config)

type config struct {
	term    term.Config
	grace   time.Duration
	wait    time.Duration // negative: no limit, unless limited is set
	limited bool          // WithWait was used
	shared  bool
	limit   *uint64 // nil: the semaphore is ephemeral
	count   *uint64 // nil: 1
	also    []string
	tell    func(Event)

	mu *sync.Mutex // held while tell runs
}

// observe passes an event to the observer.
func (c *config) observe(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell(e)
}

// WithTimeout sets the session timeout: how long the lock of a crashed holder, or of one that is cut off from the
// server, stays locked. A short timeout finds a dead holder sooner, and a long one survives longer network outages. The
// timeout must be between 100 ms and 30 min. The default, also with 0, is 10 s.
func WithTimeout(timeout time.Duration) Option {
	return func(c *config) { c.term.Timeout = timeout }
}

// WithGrace gives work time to stop before the server can grant the lock to anyone else. When the server stops
// answering, the context of work ends as soon as only the grace is left of the time for which the lock is certainly
// held. From then on work counts as interrupted, even if the server answers again.
//
// The grace must be between 0, the default, and a third of the timeout, so that the loss of one answer does not end
// the context. A positive grace needs a client whose leases report their remaining time, such as that of package
// tenure. With any other client, the call returns an error when it gets the lock, without calling work.
func WithGrace(grace time.Duration) Option {
	return func(c *config) { c.grace = grace }
}

// graceShare limits the grace to a third of the timeout. Package tenure asks the server for a sign of life every
// quarter of the timeout. If an answer gets lost, the client asks again at half of the timeout. Nearly half of it is
// then left: a third for the grace, and the rest for the answer to arrive.
const graceShare = 3

// WithWait limits the time until the lock is acquired, independently of ctx. The limit covers the attempts to reach the
// server and the wait in the queue. When it has passed, the call returns a [*BusyError], which wraps [ErrBusy], and
// work has not run.
//
// With 0 the call does not wait: the server decides in one round trip whether the lock is free. The attempts to reach
// the server may then take up to 10 s, and their error is not a BusyError. A negative limit is an error. By default
// there is no limit.
func WithWait(limit time.Duration) Option {
	return func(c *config) { c.wait, c.limited = limit, true }
}

// WithShared shares the lock with all other holders that use WithShared. A holder without it holds the lock alone. The
// queue is strict: a shared waiter does not overtake an exclusive one.
func WithShared() Option {
	return func(c *config) { c.shared = true }
}

// WithLimit lets up to limit holders hold the lock at the same time, or fewer if some of them use [WithCount]. The
// limit must be at least 1, and all users of the lock must give the same one. The lock is then a persistent semaphore,
// which is created if it is missing and is never deleted.
func WithLimit(limit uint64) Option {
	return func(c *config) { c.limit = &limit }
}

// WithCount sets how much of the limit ([WithLimit]) this holder takes: between 1, the default, and the limit.
func WithCount(count uint64) Option {
	return func(c *config) { c.count = &count }
}

// WithAlso adds locks. All of them are held at the same time, in one session, and the other options apply to each. The
// locks are acquired one after the other in the order of their names, so callers that want several of the same locks
// cannot wait for each other in a circle. If the call gives up on one of them, it releases those that it already has.
func WithAlso(names ...string) Option {
	return func(c *config) { c.also = append(c.also, names...) }
}

// WithData attaches data to the lock, which others can see while the session waits for the lock and holds it. The data
// can have up to 1 MiB. The caller must not change it until the lock is released.
//
// By default, and if data is nil, the data is a line of text that describes the process, such as
// "alice@ci-3, pid 42 (backup)". Pass an empty slice that is not nil to attach nothing.
func WithData(data []byte) Option {
	return func(c *config) { c.term.Data = data }
}

// WithDescription sets the session's description, which the server may show. It can have up to 1,024 bytes and must be
// valid UTF-8.
func WithDescription(description string) Option {
	return func(c *config) { c.term.Description = description }
}

// WithoutCreate makes the call return an error if the node does not exist, instead of creating it.
func WithoutCreate() Option {
	return func(c *config) { c.term.NoCreate = true }
}

// WithObserver makes the call pass each [Event] to observe, never concurrently. The call waits for observe, which must
// not block, and must not use the [Held]. Danger, Safe and Lost events may come while work is running. All other events
// come while it is not, except that a [Leader] event without a leader may follow them. If the option is given several
// times, only the last observer is called. A nil observer is ignored.
func WithObserver(observe func(Event)) Option {
	return func(c *config) {
		if observe != nil {
			c.tell = observe
		}
	}
}
