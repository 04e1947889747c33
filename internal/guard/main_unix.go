//go:build unix

package guard

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"tenure/internal/clock"
	"tenure/internal/tty"
	"tenure/internal/watchman"
)

// Selected reports whether this process was started to be a guard. Its main function must then call Main before it does
// anything else. It reaches its main function only if the guard needs that: see package watchman.
func Selected() bool { return watchman.Selected() }

// Main is the main function of a guard. It does not return.
func Main() int {
	watchman.Main(watchman.Helpers{Explain: explain, EndSession: endSession})

	return 0
}

// explainLimit is the time that explain gives to whatever reads standard error.
const explainLimit = 50 * time.Millisecond

// explain tells the user what has happened. Nothing waits for the message for long.
func explain(holder, task string) {
	name, _, _ := strings.Cut(holder, " ")
	text := name + ": killed COMMAND: the process that held the lock for it has ended\n"
	if task != "" {
		text = fmt.Sprintf("%s: killed COMMAND of %q: the process that ran it has ended\n", name, task)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		tty.Shield(func() {
			_, _ = io.WriteString(os.Stderr, text)
		})
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
