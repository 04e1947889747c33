package benchtest

import (
	"context"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Stall is a time in which a processor of the machine did not run a thread that was due.
type Stall struct{ Begin, End time.Time }

// Between waking up threads that watch for stalls, and the shortest stall that is reported.
const (
	stallProbe    = time.Millisecond / 2
	shortestStall = time.Millisecond
)

// Stalls returns the stalls of each processor until ctx ends. A thread on each of them sleeps for short times. If this
// process may, these threads have real-time priority: then the load of other processes causes no stall, but the system
// and the machine that runs a virtual one do. The Go runtime of this process can cause one as well, if it is busy.
func Stalls(ctx context.Context) []Stall {
	var own unix.CPUSet
	if err := unix.SchedGetaffinity(0, &own); err != nil {
		panic(err) // only wrong arguments cause an error
	}
	var mu sync.Mutex
	var all []Stall
	var wg sync.WaitGroup
	for cpu := range len(own) * 64 {
		if !own.IsSet(cpu) {
			continue
		}
		wg.Go(func() {
			runtime.LockOSThread() // and the thread ends with the goroutine
			var one unix.CPUSet
			one.Set(cpu)
			if err := unix.SchedSetaffinity(0, &one); err != nil {
				panic(err) // as above
			}
			_ = unix.SchedSetAttr(0, &unix.SchedAttr{
				Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1,
			}, 0) // without it, the load of this machine counts as a stall too
			for sleep := unix.NsecToTimespec(stallProbe.Nanoseconds()); ctx.Err() == nil; {
				began := time.Now()
				_ = unix.Nanosleep(&sleep, nil)
				now := time.Now()
				if now.Sub(began) >= stallProbe+shortestStall {
					mu.Lock()
					all = append(all, Stall{began, now})
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()

	return all
}
