//go:build race && !go1.27

package bubbletest

import (
	"runtime"
	"sync"
)

var processors struct {
	sync.Mutex

	bubbles int // number of bubbles that are running
	before  int // how many processors Go used before the first of them
}

// oneProcessor limits Go to one processor until restore is called, or until the last restore where calls overlap.
//
// In Go 1.26, all timers of a bubble run in one context of the race detector, and may run at the same time: one in the
// bubble's root goroutine, others in the goroutines that receive from them. The detector then crashes the process: with
// a fault, or with "ThreadSanitizer: CHECK failed" (https://go.dev/issue/78156). On one processor no two timers run at
// the same time. The detector still finds races there: it reports accesses that nothing orders, even if they did not
// happen at the same time.
func oneProcessor() (restore func()) {
	processors.Lock()
	defer processors.Unlock()
	if processors.bubbles == 0 {
		processors.before = runtime.GOMAXPROCS(1)
	}
	processors.bubbles++
	return func() {
		processors.Lock()
		defer processors.Unlock()
		if processors.bubbles--; processors.bubbles == 0 {
			runtime.GOMAXPROCS(processors.before)
		}
	}
}
