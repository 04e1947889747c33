//go:build unix

package watchman

import (
	"os"
	"runtime"
	"strconv"
	"time"

	"tenure/internal/clock"
)

// explainLimit is the time that explain gives to whatever reads standard error. COMMAND's lifelines are open meanwhile.
const explainLimit = 50 * time.Millisecond

// explain tells the user what has happened. Nothing waits for the message for long.
func (w *watchman) explain() {
	name := w.holder
	for i, b := range []byte(name) {
		if b == ' ' {
			name = name[:i]

			break
		}
	}
	text := name + ": killed COMMAND: the process that held the lock for it has ended\n"
	if w.task != "" {
		text = name + ": killed COMMAND of " + strconv.Quote(w.task) + ": the process that ran it has ended\n"
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		runtime.LockOSThread() // ends the thread too, because of its signal mask
		shield()
		_, _ = os.Stderr.WriteString(text)
	}()
	clk := clock.Go()
	timer := clk.NewTimer()
	now := clk.Now()
	timer.Set(now, now.Add(explainLimit))
	select {
	case <-written:
	case <-timer.C():
	}
}
