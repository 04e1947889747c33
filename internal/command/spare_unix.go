//go:build unix

package command

import (
	"cmp"
	"os"
	"path/filepath"
	"sync"

	"tenure/internal/guard"
)

// spare is a guard that has been started and has no COMMAND yet.
type spare struct {
	mu    sync.Mutex // guards ready
	ready func() (*guard.Guard, error)
}

// Prepare starts the guard for the next call of Run, so that Run does not have to wait for that. It does not block. The
// caller must call Close in the end.
func (c *Command) Prepare() {
	c.guards.mu.Lock()
	defer c.guards.mu.Unlock()
	if c.guards.ready != nil {
		return
	}
	c.guards.ready = sync.OnceValues(func() (*guard.Guard, error) { return guard.Start(c.name()) })
	go c.guards.ready() //nolint:errcheck // ends soon; take or Close waits for it and gets the error
}

// Close ends a guard that was prepared and not used.
func (c *Command) Close() {
	if ready := c.guards.remove(); ready != nil {
		if g, err := ready(); err == nil {
			g.Close()
		}
	}
}

// name describes this process.
func (c *Command) name() string { return cmp.Or(c.Name, filepath.Base(os.Args[0])) }

func (s *spare) take(name string) (*guard.Guard, error) {
	if ready := s.remove(); ready != nil {
		return ready()
	}

	return guard.Start(name)
}

func (s *spare) remove() func() (*guard.Guard, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ready := s.ready
	s.ready = nil

	return ready
}
