package pebblestore

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// compactions has one compaction of a database run at a time, and none while the database is being opened: Open would
// wait for its end, and whoever needs the store with it. So Open counts as a compaction, until it calls Done.
//
// Pebble asks for a compaction while it holds locks of its own, which it takes for a Schedule as well; so mu is never
// held during a Schedule, and granting never asked for in TrySchedule.
type compactions struct {
	db pebble.DBForCompaction // set by Register

	granting sync.Mutex // held during a Schedule
	mu       sync.Mutex // guards all that follows
	running  int
	ended    bool
}

// Register implements pebble.CompactionScheduler.
func (c *compactions) Register(_ int, db pebble.DBForCompaction) { c.db, c.running = db, 1 }

// Unregister implements pebble.CompactionScheduler.
func (c *compactions) Unregister() {
	c.granting.Lock()
	defer c.granting.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
}

// TrySchedule implements pebble.CompactionScheduler. To whom it says no, Done will say yes.
func (c *compactions) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.running > 0 {
		return false, nil
	}
	c.running++

	return true, c
}

// Done implements pebble.CompactionGrantHandle: what waits may run.
func (c *compactions) Done() {
	c.granting.Lock()
	defer c.granting.Unlock()
	c.mu.Lock()
	c.running--
	next := !c.ended && c.running == 0
	c.mu.Unlock()
	if next && c.db.Schedule(c) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.running++
	}
}

// UpdateGetAllowedWithoutPermission implements pebble.CompactionScheduler: it is always one.
func (c *compactions) UpdateGetAllowedWithoutPermission() {}

// Started implements pebble.CompactionGrantHandle.
func (c *compactions) Started() {}

// MeasureCPU implements pebble.CompactionGrantHandle.
func (c *compactions) MeasureCPU(pebble.CompactionGoroutineKind) {}

// CumulativeStats implements pebble.CompactionGrantHandle.
func (c *compactions) CumulativeStats(pebble.CompactionGrantHandleStats) {}

var (
	_ pebble.CompactionScheduler   = (*compactions)(nil)
	_ pebble.CompactionGrantHandle = (*compactions)(nil)
)
