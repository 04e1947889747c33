package benchtest

import (
	"time"

	"golang.org/x/sys/unix"
)

// ProcessorTime returns the CPU time, of user and system, that this process has used since its start.
func ProcessorTime() time.Duration {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		panic(err) // only wrong arguments cause an error
	}

	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
