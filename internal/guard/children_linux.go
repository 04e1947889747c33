package guard

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"tenure/internal/clock"
	"tenure/internal/tty"
	"tenure/internal/watchman"
)

const executablePath = "/proc/self/exe" // also if the file was replaced or removed

func executable() (string, error) { return executablePath, nil }

func socketpair() ([2]int, error) {
	return unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
}

// Adopt makes this process the parent of its orphaned descendants until release is called. Otherwise the first process
// of the system becomes their parent.
func Adopt() (release func()) {
	children.count(1)

	return func() { children.count(-1) }
}

func (r *registry) count(change int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.adopts == 0 { // it may have been set when this process was started, and stays set then
		var set int32
		_ = unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&set)), 0, 0, 0)
		r.reaper = set != 0
	}
	r.adopts += change
	if !r.reaper {
		_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, uintptr(r.adopts), 0, 0, 0) // supported since Linux 3.4
	}
}

// Own declares that this process starts no children except guards, and collects its adopted children whenever they
// end. It returns immediately. The collection ends with ctx.
func Own(ctx context.Context) {
	children.mu.Lock()
	children.owned = true
	children.mu.Unlock()
	LeaveAlone() // the shell that was replaced by this process may have had children
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	go func() { // ends with ctx
		defer signal.Stop(ended)
		for {
			children.reap()
			select {
			case <-ended:
			case <-ctx.Done():
				return
			}
		}
	}()
}

// LeaveAlone excepts the present adopted children from KillAdopted.
func LeaveAlone() {
	children.mu.Lock()
	defer children.mu.Unlock()
	if children.owned {
		clear(children.alone)
		for _, pid := range watchman.Children(os.Getpid()) {
			if _, guard := children.guards[pid]; !guard {
				children.alone[pid] = struct{}{}
			}
		}
	}
}

// KillAdopted kills and collects the adopted children of this process until none is left or ctx ends. It excepts those
// that LeaveAlone has. It does nothing unless Own was called.
func KillAdopted(ctx context.Context) {
	for children.kill() && clock.Pause(ctx, clock.Go(), time.Millisecond) {
	}
}

// kill kills the adopted children and collects those that have ended. It reports whether there were any: the children
// of a process that has just been collected may have been adopted since. It ignores children that it may not kill.
func (r *registry) kill() (found bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.owned {
		return false
	}
	for _, pid := range watchman.Children(os.Getpid()) {
		_, guard := r.guards[pid]
		if _, alone := r.alone[pid]; guard || alone {
			continue
		}
		if got, _ := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); got == pid || syscall.Kill(pid, syscall.SIGKILL) == nil {
			found = true
		}
	}

	return found
}

// reap collects the adopted children that have ended. It stops at a guard that has ended: collect calls it again.
func (r *registry) reap() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.owned {
		return
	}
	for {
		pid := watchman.AnyEnded()
		if pid == 0 {
			return
		}
		if _, guard := r.guards[pid]; guard {
			return
		}
		_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
		delete(r.alone, pid)
	}
}

// KillChildren kills the children of the guard, which include the orphans among the descendants of COMMAND. It reports
// whether none was alive. The guard does not need to do anything for that: it may be frozen. A frozen guard does not
// collect its children, so their process ids cannot be reused.
func (g *Guard) KillChildren() (none bool) {
	none = true
	for _, pid := range watchman.Children(g.pid) {
		if state, parent := tty.Stat(pid); parent == g.pid && state != 'Z' && state != 'X' {
			none = false
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}

	return none
}
