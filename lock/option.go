package lock

import (
	"time"

	"tenure/internal/term"
)

// An Option changes how [Run] works.
type Option func(*config)

type config struct {
	term    term.Config
	grace   time.Duration
	data    []byte
	observe func(Event)
}

// WithTimeout sets the timeout of the session: so long after the holder was last heard of, the lock goes to the next.
// Short timeouts find a dead holder sooner, long ones outlast longer breaks of the network. From 100 ms to 30 min; the
// default is 10 s.
func WithTimeout(timeout time.Duration) Option {
	return func(c *config) { c.term.Timeout = timeout }
}

// WithGrace gives work time to stop while nobody else can have the lock: its context ends when the time that the lock
// is surely held has come down to grace, as it does when the server does not answer. Every answer that comes before
// that puts it off. From then on the lock counts as lost, even if the server answers after all: [Run] waits for work
// to return and gives back what it still has.
//
// From 0, the default, which is none, to a third of the timeout: so one answer of the server can get lost without
// looking like danger. It needs a client whose leases tell how long they last, as those of package tenure do; with
// another one Run returns an error when it has the lock, and does not call work.
func WithGrace(grace time.Duration) Option {
	return func(c *config) { c.grace = grace }
}

// graceShare bounds the grace to a share of the timeout. Package tenure asks for a proof of the session's life every
// quarter of the timeout. If one gets lost, it asks again at half of it, when nearly half of it is left: a third is
// for the grace then, and the rest for that answer to come.
const graceShare = 3

// WithData attaches data to the lock, for others to see while it is waited for and held: at most 1 MiB, which is not
// to be changed until Run returns.
func WithData(data []byte) Option {
	return func(c *config) { c.data = data }
}

// WithDescription sets the description of the session, which the server may show: at most 1,024 bytes.
func WithDescription(description string) Option {
	return func(c *config) { c.term.Description = description }
}

// WithoutCreate makes a missing node an error.
func WithoutCreate() Option {
	return func(c *config) { c.term.NoCreate = true }
}

// WithObserver has observe called with each [Event], one after the other. Run waits for it; it must not block. A Lost
// event comes while work may still be running, all others while it is not.
func WithObserver(observe func(Event)) Option {
	return func(c *config) {
		if observe != nil {
			c.observe = observe
		}
	}
}
