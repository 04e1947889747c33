package workers

import (
	"time"

	"tenure/internal/term"
)

// An Option changes how [Run] works.
type Option func(*config)

type config struct {
	term    term.Config
	data    []byte
	observe func(Event)
}

// WithTimeout sets the timeout of the session: so long after the worker was last heard of, its tasks go to others.
// Short timeouts find a dead worker sooner, long ones outlast longer breaks of the network. From 100 ms to 30 min; the
// default is 10 s.
func WithTimeout(timeout time.Duration) Option {
	return func(c *config) { c.term.Timeout = timeout }
}

// WithData attaches data to every task that the worker waits for or holds, for others to see: at most 1 MiB, which is
// not to be changed until Run returns.
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

// WithObserver has observe called with each [Event], one after the other. The worker waits for it; it must not block.
func WithObserver(observe func(Event)) Option {
	return func(c *config) {
		if observe != nil {
			c.observe = observe
		}
	}
}
