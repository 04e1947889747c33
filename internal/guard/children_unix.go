//go:build unix

package guard

import (
	"sync"
	"syscall"
)

// children are the children of this process. All children that the commands start are guards, or processes of
// StartProcess. The other children are orphans that this process has adopted, as process 1 of a container or as a
// subreaper.
var children = registry{guards: make(map[int]bool), alone: make(map[int]struct{})}

type registry struct {
	mu     sync.Mutex       // guards the rest; held while a process is started, signalled or collected
	guards map[int]bool     // and other processes that were started; by process id; true: it is being collected
	alone  map[int]struct{} // adopted processes that COMMANDs have left behind
	owned  bool             // see Own
	adopts int              // the number of calls of Adopt that have not been released
	reaper bool             // this process was a subreaper before
}

func (r *registry) start(fork func() (int, error)) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err := fork()
	if err == nil {
		r.guards[pid] = false
	}

	return pid, err
}

// signal sends a signal to a guard that has not been collected. Only its process id is certain to be its own.
func (r *registry) signal(guard int, sig syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if collected, known := r.guards[guard]; known && !collected {
		_ = syscall.Kill(guard, sig) // it may have ended
	}
}

// collect waits for the end of a guard.
func (r *registry) collect(guard int) (status syscall.WaitStatus) {
	r.mu.Lock()
	r.guards[guard] = true
	r.mu.Unlock()
	for {
		if _, err := syscall.Wait4(guard, &status, 0, nil); err != syscall.EINTR {
			break
		}
	}
	r.mu.Lock()
	delete(r.guards, guard)
	r.mu.Unlock()
	r.reap()

	return status
}

// StartProcess starts a process that is no guard. The caller may call WaitProcess for it.
func StartProcess(path string, argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	return children.start(func() (int, error) { return syscall.ForkExec(path, argv, attr) })
}

// WaitProcess waits for the end of a process of StartProcess.
func WaitProcess(pid int) syscall.WaitStatus { return children.collect(pid) }

// SignalProcess sends a signal to a process of StartProcess, unless it has been collected.
func SignalProcess(pid int, sig syscall.Signal) { children.signal(pid, sig) }
