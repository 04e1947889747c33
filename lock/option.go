package lock

import (
	"time"

	"tenure/internal/term"
)

// An Option changes how [Run] works. Run skips nil options.
type Option func(*config)

type config struct {
	term    term.Config
	grace   time.Duration
	observe func(Event)
}

// WithTimeout sets the session timeout: how long the lock of a crashed holder, or of one that is cut off from the
// server, stays locked. A short timeout finds a dead holder sooner, and a long one survives longer network outages. The
// timeout must be between 100 ms and 30 min. The default is 10 s.
func WithTimeout(timeout time.Duration) Option {
	return func(c *config) { c.term.Timeout = timeout }
}

// WithGrace gives work time to stop before the server can grant the lock to anyone else. When the server stops
// answering, [Run] cancels the context of work as soon as only the grace is left of the time for which the lock is
// certainly held. From then on the lock counts as lost, even if the server answers again. Run waits for work to return
// and releases the lock if it still holds it.
//
// The grace must be between 0, the default, and a third of the timeout, so that the loss of one answer does not end
// the context. A positive grace needs a client whose leases report their remaining time, such as that of package
// tenure. With any other client, Run returns an error when it gets the lock, without calling work.
func WithGrace(grace time.Duration) Option {
	return func(c *config) { c.grace = grace }
}

// graceShare limits the grace to a third of the timeout. Package tenure asks the server for a sign of life every
// quarter of the timeout. If an answer gets lost, the client asks again at half of the timeout. Nearly half of it is
// then left: a third for the grace, and the rest for the answer to arrive.
const graceShare = 3

// WithData attaches data to the lock, which others can see while Run waits for the lock and holds it. The data can have
// up to 1 MiB. The caller must not change it until Run returns.
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

// WithoutCreate makes [Run] return an error if the node does not exist, instead of creating it.
func WithoutCreate() Option {
	return func(c *config) { c.term.NoCreate = true }
}

// WithObserver makes [Run] call observe with each [Event], never concurrently. Run waits for observe, which must not
// block. Lost events may come while work is running. All other events come while it is not.
func WithObserver(observe func(Event)) Option {
	return func(c *config) {
		if observe != nil {
			c.observe = observe
		}
	}
}
