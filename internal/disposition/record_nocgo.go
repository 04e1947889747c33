//go:build !cgo || !unix

package disposition

import (
	"os/signal"
	"sync"
	"syscall"
)

// Complete reports whether the dispositions of all signals are known.
const Complete = false

// recorded asks the runtime, which knows about the signals that it leaves alone. The first call decides, because this
// process may ignore more signals later.
var recorded = sync.OnceValue(func() (mask uint64) {
	for sig := syscall.Signal(1); sig <= last; sig++ {
		if signal.Ignored(sig) {
			mask |= 1 << (sig - 1)
		}
	}

	return mask
})
