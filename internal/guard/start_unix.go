//go:build unix

package guard

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tenure/internal/clock"
	"tenure/internal/watchman"
)

// endLimit is the time that a guard has to exit after Close. It then has nothing to do but exit.
const endLimit = time.Second

// A Guard is a guard process, as its holder sees it. It serves one COMMAND. Its methods may be called from several
// goroutines, except Run and Close, and none of them waits for the guard except Run and Close.
type Guard struct {
	pid    int
	name   string // for people
	conn   *net.UnixConn
	events chan Event // closed when the guard has ended

	mu      sync.Mutex          // guards the rest
	pending []*watchman.Request // not sent yet
	wake    chan struct{}
	closed  chan struct{}
	close   func()
	finish  func() // calls end

	running sync.WaitGroup
}

// Start starts a guard. The name describes the holder, such as "lock deploy", and appears in lists of processes.
func Start(name string) (*Guard, error) {
	pair, err := socketpair()
	if err != nil {
		return nil, fmt.Errorf("start the guard: %w", err)
	}
	theirs := pair[1]
	defer unix.Close(theirs)
	ours := os.NewFile(uintptr(pair[0]), "guard")
	defer ours.Close() // FileConn duplicates it
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, fmt.Errorf("start the guard: %w", err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		conn.Close()

		return nil, fmt.Errorf("start the guard: %w", err)
	}
	defer null.Close()

	exe, err := executable()
	if err == nil {
		var pid int
		pid, err = children.start(func() (int, error) {
			return syscall.ForkExec(exe, append([]string{watchman.Argv0}, strings.Fields(name)...), &syscall.ProcAttr{
				Env:   environment(theirs),
				Files: inherited(int(null.Fd()), theirs),
				Sys:   &syscall.SysProcAttr{Setpgid: true},
			})
		})
		if err == nil {
			g := &Guard{
				pid: pid, name: name, conn: conn.(*net.UnixConn), events: make(chan Event, 1),
				wake: make(chan struct{}, 1), closed: make(chan struct{}),
			}
			g.close = sync.OnceFunc(func() { close(g.closed) })
			g.finish = sync.OnceFunc(g.end)
			g.running.Go(g.send)
			g.running.Go(g.receive)

			return g, nil
		}
	}
	conn.Close()

	return nil, fmt.Errorf("start the guard: %w", err)
}

// inherited returns the files of the guard: the descriptors that the shell has opened for this process keep their
// numbers, so that COMMAND gets them. All others of this process are closed in the guard. The socket keeps its number.
func inherited(null, socket int) []uintptr {
	files := []uintptr{uintptr(null), uintptr(null), 2}
	for fd := len(files); fd < socket; fd++ {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			files = append(files, uintptr(fd))
		} else {
			files = append(files, ^uintptr(0))
		}
	}

	return append(files, uintptr(socket))
}

// environment returns the environment of the guard. It needs that of this process for the credentials of the server.
// A guard needs no threads until it ends a session.
func environment(socket int) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")

		return name == "GOMAXPROCS" || name == "GOGC" || name == watchman.SocketVariable
	})

	return append(env, "GOMAXPROCS=1", watchman.SocketVariable+"="+strconv.Itoa(socket))
}

// PID returns the process id of the guard.
func (g *Guard) PID() int { return g.pid }

// Events returns the events of the guard, after Run. The channel is closed when the guard has ended.
func (g *Guard) Events() <-chan Event { return g.events }

// Files are the open files of COMMAND. The guard duplicates them.
type Files struct {
	Stdin, Stdout, Stderr *os.File
	Pipe                  *os.File   // COMMAND gets it as the descriptor that TENURE_FD names; may be nil
	State                 *os.File   // COMMAND gets it as descriptor 3; may be nil
	Barrier               *Barrier   // of the session of the lease; nil: it has no other COMMANDs
	Lifelines             []*os.File // the guard and COMMAND keep them open
}

// ErrLate means that the guard did not start COMMAND because the deadline of the lease has passed.
var ErrLate = errors.New("the lease has ended")

// descriptors returns the descriptors in the order of a start message. The caller must call sent when they are sent.
func (f Files) descriptors() (fds []int, sent func(), err error) {
	add := func(files ...*os.File) {
		for _, file := range files {
			if file != nil {
				fds = append(fds, int(file.Fd()))
			}
		}
	}
	add(f.Stdin, f.Stdout, f.Stderr, f.Pipe, f.State)
	sent = func() {}
	if f.Barrier != nil {
		var r, w int
		if r, w, sent, err = f.Barrier.enter(); err != nil {
			return nil, nil, err
		}
		fds = append(fds, r, w)
	}
	add(f.Lifelines...)

	return fds, sent, nil
}

// Run starts COMMAND and returns its process id, which is also the id of its process group. The error is a
// syscall.Errno if the system refuses to start COMMAND, and ErrLate if the lease has ended. The guard kills COMMAND
// when the lease, which may be nil, reaches its deadline.
//
// A guard may need long to start COMMAND on a busy machine. Run calls renew while it waits, first immediately, and then
// each time the channel that renew has returned is closed. It must call Extend if the lease has a new deadline.
func (g *Guard) Run(p Program, files Files, lease *Lease, renew func() <-chan struct{}) (pid int, err error) {
	m, err := lease.message()
	if err != nil {
		return 0, err
	}
	first := watchman.Encode(nil, &watchman.Request{Lease: m})
	fds, sent, err := files.descriptors()
	if err != nil {
		return 0, err
	}
	_, _, err = g.conn.WriteMsgUnix(first[:1], unix.UnixRights(fds...), nil)
	sent()
	if err != nil {
		files.Barrier.Forgive()

		return 0, g.lost()
	}
	b := watchman.Encode(first[1:], &watchman.Request{Start: &watchman.Start{
		Path: p.Path, Dir: p.Dir, Argv: p.Argv, Env: p.Env,
		Ignored: p.Ignored, Stands: p.Stands, Foreground: p.Foreground, NoTerminal: p.NoTerminal,
		Pipe: files.Pipe != nil, State: files.State != nil, Barrier: files.Barrier != nil,
		Lifelines: len(files.Lifelines), Holder: g.name, Task: p.Task,
	}})
	if _, err = g.conn.Write(b); err != nil {
		return 0, g.lost()
	}
	for {
		renewed := renew()
		select {
		case <-renewed:
		case e, ok := <-g.events:
			switch {
			case !ok:
				return 0, fmt.Errorf("the guard, pid %d, has ended while it started COMMAND, which may have run: try again", g.pid)
			case e.Late:
				return 0, ErrLate
			case e.Errno != 0:
				return 0, e.Errno
			}

			return e.PID, nil
		}
	}
}

func (g *Guard) lost() error { return fmt.Errorf("the guard, pid %d, has ended: try again", g.pid) }

// Extend tells the guard the newest deadline of the lease. The guard kills COMMAND so that it has ended by then. The
// deadline is an instant of clock.System. It is 0 if the lease has no deadline.
func (g *Guard) Extend(deadline clock.Instant) { g.queue(&watchman.Request{Extend: deadline}) }

// Reap tells the guard that the holder no longer sends signals to the group of COMMAND, after Ended. The guard answers
// Reaped, and then Empty when no process is left in the group.
func (g *Guard) Reap() { g.queue(&watchman.Request{Reap: true}) }

// Rest tells the guard, after Reap, that nothing must keep running. The guard answers Gone when no descendant of
// COMMAND is left. It does not kill them.
func (g *Guard) Rest() { g.queue(&watchman.Request{Rest: true}) }

// Signal sends a signal to the group of COMMAND, after the previous calls of Reap, Resume and Signal.
func (g *Guard) Signal(sig syscall.Signal) { g.queue(&watchman.Request{Signal: int(sig)}) }

// Resume continues the group of COMMAND if a signal has stopped it. The guard answers Resumed.
func (g *Guard) Resume() { g.queue(&watchman.Request{Resume: true}) }

// Kill kills all descendants of COMMAND. The guard answers Gone when none is left.
func (g *Guard) Kill() { g.queue(&watchman.Request{Kill: true}) }

// queue queues a message to the guard. It does not block. Only the newest deadline stays queued.
func (g *Guard) queue(r *watchman.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if last := len(g.pending) - 1; r.Extend != 0 && last >= 0 && g.pending[last].Extend != 0 {
		g.pending[last] = r
	} else {
		g.pending = append(g.pending, r)
	}
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// send sends the queued messages. It ends when the connection is closed.
func (g *Guard) send() {
	for {
		select {
		case <-g.wake:
		case <-g.closed:
			return
		}
		g.mu.Lock()
		var b []byte
		for _, r := range g.pending {
			b = watchman.Encode(b, r)
		}
		g.pending = nil
		g.mu.Unlock()
		if _, err := g.conn.Write(b); err != nil {
			return // receive notices it
		}
	}
}

// receive receives the events. It ends when the guard has ended or the connection is closed.
func (g *Guard) receive() {
	defer close(g.events)
	var have []byte
	buffer := make([]byte, 4096)
	for {
		n, err := g.conn.Read(buffer)
		if err != nil || n == 0 {
			return
		}
		have = append(have, buffer[:n]...)
		for {
			var e Event
			rest, ok, err := watchman.Decode(have, &e)
			if err != nil {
				return
			}
			have = rest
			if !ok {
				break
			}
			select {
			case g.events <- e:
			case <-g.closed:
				return
			}
		}
	}
}

// Close ends the guard and returns when it has ended. Processes that COMMAND has left behind keep running. It kills the
// guard if it does not end. Calling Close again is a no-op.
func (g *Guard) Close() {
	g.queue(&watchman.Request{Done: true})
	clk := clock.Go()
	timer := clk.NewTimer()
	defer timer.Stop()
	now := clk.Now()
	timer.Set(now, now.Add(endLimit))
	for open := true; open; {
		select {
		case _, open = <-g.events:
		case <-timer.C():
			g.Destroy()
		}
	}
	g.finish()
}

// Continue continues a guard that was stopped.
func (g *Guard) Continue() { children.signal(g.pid, syscall.SIGCONT) }

// Destroy kills the guard itself. The system then kills COMMAND on Linux, and its other descendants become children of
// this process.
func (g *Guard) Destroy() { children.signal(g.pid, syscall.SIGKILL) }

// end collects the guard, which has ended or has been killed.
func (g *Guard) end() {
	g.close()
	g.conn.Close()
	g.running.Wait()
	children.collect(g.pid)
}
