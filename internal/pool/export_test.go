package pool

import "tenure/internal/clock"

// Load returns the weight of the tasks that take up capacity.
func (c *Core) Load() int { return c.load() }

// Could reports whether the worker could take a free task immediately, for all that it knows.
func (c *Core) Could(now clock.Instant, name string) bool {
	t := c.tasks[name]
	if !c.seen || c.draining || t == nil || !t.listed || t.final || !c.accepts(now, t) {
		return false
	}
	if keeper, kept := c.ghosts.kept()[t.hash]; kept && keeper != c.Worker {
		return false
	}
	room := c.Capacity - c.load()
	for _, o := range c.active {
		if !o.occupies() && o != t {
			room -= o.weight
		}
	}

	return t.weight <= room
}
