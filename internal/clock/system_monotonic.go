//go:build darwin || dragonfly || freebsd || openbsd

package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// System returns the machine's lease clock, CLOCK_MONOTONIC. All processes on the machine share its instants. Whether it
// keeps running while the machine sleeps depends on the operating system: it does on macOS.
func System() Clock { return monotonicClock{} }

type monotonicClock struct{}

func (monotonicClock) Now() Instant {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("clock: CLOCK_MONOTONIC: " + err.Error())
	}

	return Instant(ts.Nano())
}

func (monotonicClock) NewTimer() Timer { return newTimer() }

func (monotonicClock) NewAlarm(ring func()) Timer { return newAlarm(ring) }

func (c monotonicClock) Time(i Instant) time.Time { return date(c, i) }
