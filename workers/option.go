package workers

import (
	"time"

	"tenure/internal/term"
)

// An Option changes how [Run] works. Run skips nil options.
type Option func(*config)

type config struct {
	term    term.Config
	observe func(Event)
}

// WithTimeout sets the session timeout: how long the tasks of a crashed worker, or of one that is cut off from the
// server, stay assigned to it. A short timeout finds a dead worker sooner, and a long one survives longer network
// outages. The timeout must be between 100 ms and 30 min. The default is 10 s.
func WithTimeout(timeout time.Duration) Option {
	return func(c *config) { c.term.Timeout = timeout }
}

// WithData attaches data to every task that the worker waits for or owns, for others to see. The data can have up to
// 1 MiB. The caller must not change it until Run returns.
//
// By default, and if data is nil, the data is a line of text that describes the process, such as
// "alice@ci-3, pid 42 (indexer)". Pass an empty slice that is not nil to attach nothing.
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

// WithObserver makes [Run] call observe with each [Event], never concurrently. The worker waits for observe, which must
// not block.
func WithObserver(observe func(Event)) Option {
	return func(c *config) {
		if observe != nil {
			c.observe = observe
		}
	}
}
