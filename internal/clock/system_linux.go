package clock

import (
	"syscall"
	"time"
	"unsafe"
)

// System returns the machine's lease clock, CLOCK_BOOTTIME. It keeps running while the machine sleeps, and neither an
// administrator nor an NTP step can set it. All processes on the machine share its instants, to within 0.1 ms.
func System() Clock { return system }

var system = &bootClock{reader{read: read(time.Now()), exact: boottime}}

// bootClock is CLOCK_BOOTTIME, read by a reader, because each exact reading is a system call.
type bootClock struct{ reader reader }

func (c *bootClock) Now() Instant    { return c.reader.now() }
func (c *bootClock) NewTimer() Timer { return newTimer() }

func (c *bootClock) NewAlarm(ring func()) Timer { return newAlarm(ring) }

func (c *bootClock) Time(i Instant) time.Time { return date(c, i) }

// read returns a function that reads Go's clocks, which takes no system call on most machines.
func read(origin time.Time) func() reading {
	return func() reading {
		now := time.Now()

		return reading{running: int64(now.Sub(origin)), wall: now.UnixNano()}
	}
}

// boottime does not use package unix, because package watchman must not import it.
// boottime does not use package unix, because package watchman must not import it.
func boottime() int64 {
	const id = 7 // CLOCK_BOOTTIME
	var ts syscall.Timespec
	_, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, id, uintptr(unsafe.Pointer(&ts)), 0)
	if errno != 0 {
		panic("clock: CLOCK_BOOTTIME: " + errno.Error()) // every Linux since 2.6.39 has it
	}

	return ts.Nano()
}
