//go:build unix

package watchman

import (
	"time"

	"tenure/internal/clock"
)

// killMargin is the part of the session timeout before the deadline at which COMMAND is killed. It is the time for the
// kernel to end the processes, and for the guard to see that. It is within 20 and 250 milliseconds.
func killMargin(timeout time.Duration) time.Duration {
	return min(max(timeout/50, 20*time.Millisecond), 250*time.Millisecond)
}

// KillAt returns when COMMAND must be killed so that it has ended by the deadline of a lease. It returns 0 if there is
// no deadline.
func KillAt(deadline clock.Instant, timeout time.Duration) clock.Instant {
	if deadline == 0 {
		return 0
	}

	return deadline.Add(-killMargin(timeout))
}
