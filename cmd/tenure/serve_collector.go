package main

import (
	"math"
	"runtime/debug"
	"sync"
)

// collector pauses the garbage collector while nodes are loaded. A load leaves little garbage, but the heap grows fast
// at the start of a server, so the collector would run again and again and find next to nothing. It still runs when the
// process reaches its memory limit.
type collector struct {
	limit      func() int64                   // of the memory that the collector keeps to
	setPercent func(percent int) (before int) // as GOGC; -1: no collection below the limit

	mu      sync.Mutex // guards the fields below
	loading int        // nodes
	before  int        // the percentage to go back to
}

func newCollector() *collector {
	return &collector{
		limit:      func() int64 { return debug.SetMemoryLimit(-1) }, // which changes nothing
		setPercent: debug.SetGCPercent,
	}
}

// load pauses the collector until loaded is called. Without a memory limit, it does nothing.
func (c *collector) load() (loaded func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loading == 0 && c.limit() == math.MaxInt64 {
		return func() {}
	}
	if c.loading++; c.loading == 1 {
		c.before = c.setPercent(-1)
	}

	return c.loaded
}

func (c *collector) loaded() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loading--; c.loading == 0 {
		c.setPercent(c.before)
	}
}
