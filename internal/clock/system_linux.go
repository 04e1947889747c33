package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// System returns the machine's lease clock, CLOCK_BOOTTIME. It keeps running while the machine sleeps, and neither an
// administrator nor an NTP step can set it.
func System() Clock { return bootClock{} }

type bootClock struct{}

func (bootClock) Now() Instant {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("clock: CLOCK_BOOTTIME: " + err.Error()) // every Linux since 2.6.39 has it
	}

	return Instant(ts.Nano())
}

func (bootClock) NewTimer() Timer { return newTimer() }

func (c bootClock) Time(i Instant) time.Time { return date(c, i) }
