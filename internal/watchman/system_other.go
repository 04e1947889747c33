//go:build unix && !linux

package watchman

import (
	"os/signal"
	"syscall"
	"time"

	"tenure/internal/clock"
)

const (
	cloexec    = 0
	lastSignal = 31
)

// dieWithThread does nothing: this system cannot kill a process together with its parent.
func dieWithThread(*syscall.SysProcAttr) {}

func nameThread(string) {}

// adopt does nothing: the first process of the system adopts orphans.
func adopt() {}

// An alarm computes the limit of a poll. It may be late by the time for which the machine was suspended.
type alarm struct{}

func newAlarm() (*alarm, error) { return &alarm{}, nil }

func (*alarm) fd() int32 { return -1 }

func (*alarm) set(c clock.Clock, at clock.Instant) int {
	return int(max(0, at.Sub(c.Now())+time.Millisecond-1) / time.Millisecond)
}

func (*alarm) drain() {}

// shield keeps SIGTTOU from stopping this process when it writes to the terminal.
func shield() { signal.Ignore(syscall.SIGTTOU) }
