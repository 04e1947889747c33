package lockcmd

import (
	"runtime/debug"
	"sync"
	"time"

	"tenure/internal/clock"
)

const (
	usualGC   = 100             // Go's default for GOGC
	initialGC = 2 * usualGC     // the start of lock with the embedded server then needs no garbage collection
	initially = 5 * time.Second // how long initialGC applies
)

// postponeCollection keeps the garbage collector from running while lock starts, which would delay COMMAND, and which a
// short COMMAND does not need at all. Later the collector frees what the start has left behind. It does nothing if the
// user has set GOGC.
var postponeCollection = sync.OnceFunc(func() {
	if before := debug.SetGCPercent(initialGC); before != usualGC {
		debug.SetGCPercent(before)

		return
	}
	clk := clock.Go()
	now := clk.Now()
	clk.NewAlarm(func() { debug.SetGCPercent(usualGC) }).Set(now, now.Add(initially))
})
