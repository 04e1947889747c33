package guard

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"tenure/internal/clock"
	"tenure/internal/tty"
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
		for _, pid := range childrenOf(os.Getpid()) {
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
	for _, pid := range childrenOf(os.Getpid()) {
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
		var info unix.Siginfo
		if unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil) != nil || info.Signo == 0 {
			return
		}
		pid, _ := fields(&info)
		if _, guard := r.guards[pid]; guard {
			return
		}
		_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
		delete(r.alone, pid)
	}
}

// procIsOurs reports whether /proc shows the process ids that this process sees. It may be that of another namespace.
var procIsOurs = sync.OnceValue(func() bool {
	self, err := os.Readlink("/proc/self")

	return err == nil && self == strconv.Itoa(os.Getpid())
})

// childrenOf returns the children of a process. It returns none if /proc is not available.
func childrenOf(pid int) []int {
	if !procIsOurs() {
		return nil
	}
	dir := "/proc/" + strconv.Itoa(pid) + "/task/"
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var found []int
	for _, task := range tasks {
		text, err := os.ReadFile(dir + task.Name() + "/children")
		if errors.Is(err, fs.ErrNotExist) && task.Name() == strconv.Itoa(pid) {
			return scan(pid) // the kernel was built without this file
		}
		for field := range bytes.FieldsSeq(text) {
			if child, err := strconv.Atoi(string(field)); err == nil {
				found = append(found, child)
			}
		}
	}

	return found
}

// scan finds the children of a process among all processes.
func scan(parent int) []int {
	all, _ := os.ReadDir("/proc")
	var found []int
	for _, entry := range all {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if _, ppid := tty.Stat(pid); ppid == parent {
			found = append(found, pid)
		}
	}

	return found
}

// KillChildren kills the children of the guard, which include the orphans among the descendants of COMMAND. It reports
// whether none was alive. The guard does not need to do anything for that: it may be frozen. A frozen guard does not
// collect its children, so their process ids cannot be reused.
func (g *Guard) KillChildren() (none bool) {
	none = true
	for _, pid := range childrenOf(g.pid) {
		if state, parent := tty.Stat(pid); parent == g.pid && state != 'Z' && state != 'X' {
			none = false
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}

	return none
}

// hasEnded reports whether a child has ended. It does not collect it.
func hasEnded(pid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)

	return err == nil && info.Signo != 0 || errors.Is(err, unix.ECHILD)
}

// hasStopped reports that a child was stopped or continued since the previous call.
func hasStopped(pid int) (e Event, ok bool) {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WCONTINUED|unix.WNOHANG, nil)
	if err != nil || info.Signo == 0 {
		return Event{}, false
	}
	if info.Code == cldContinued {
		return Event{Kind: Continued}, true
	}

	_, sig := fields(&info)

	return Event{Kind: Stopped, Signal: syscall.Signal(sig)}, true
}

const cldContinued = 6 // CLD_CONTINUED

// fields returns the si_pid and the si_status of a SIGCHLD.
func fields(info *unix.Siginfo) (pid int, status int32) {
	const header, word = 12, unsafe.Sizeof(uintptr(0))
	const union = (header + word - 1) / word * word // si_pid, si_uid, si_status
	at := unsafe.Add(unsafe.Pointer(info), union)

	return int(*(*int32)(at)), *(*int32)(unsafe.Add(at, 8))
}

// collectCommand collects a child that has ended.
func collectCommand(pid int) (status syscall.WaitStatus) {
	_, _ = syscall.Wait4(pid, &status, 0, nil)

	return status
}
