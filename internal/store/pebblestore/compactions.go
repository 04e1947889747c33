package pebblestore

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// compactions is a scheduler that runs one compaction of a database at a time, and none while the database is being
// opened. Otherwise Open, and every process waiting for the store, would have to wait for the compaction to end. So
// Open itself counts as a running compaction until it calls Done.
//
// Pebble calls TrySchedule while it holds locks that it also takes in Schedule. To avoid a deadlock, mu is never held
// during a call of Schedule, and TrySchedule never takes granting.
type compactions struct {
	db pebble.DBForCompaction // set by Register

	granting sync.Mutex // held during a call of Schedule
	mu       sync.Mutex // guards all fields below
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

// TrySchedule implements pebble.CompactionScheduler. If it refuses a compaction, Done grants one later.
func (c *compactions) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.running > 0 {
		return false, nil
	}
	c.running++

	return true, c
}

// Done implements pebble.CompactionGrantHandle. It lets a waiting compaction run.
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

// UpdateGetAllowedWithoutPermission implements pebble.CompactionScheduler. The number of allowed compactions is always
// one.
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
