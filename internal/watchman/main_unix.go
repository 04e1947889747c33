//go:build unix

package watchman

import (
	"errors"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"tenure/internal/clock"
)

// Selected reports whether this process was started to be a guard. Its main function must then call Main.
func Selected() bool { return selected }

var selected = len(os.Args) > 0 && os.Args[0] == Argv0 && os.Getenv(SocketVariable) != ""

// pause is the longest time between two looks at a process group that is about to become empty, and at processes that
// are being killed. The system does not report either.
const pause = 10 * time.Millisecond

// A watchman is the state of the guard process. It runs in one goroutine, on a thread of its own: COMMAND is killed
// when this thread ends.
//
// I1 After any wait, and before anything else, the watchman reads the messages that have arrived, and then compares the
// newest deadline with the clock. A newer deadline counts even if the guard was frozen when it arrived.
// I2 COMMAND is not collected before the holder allows it or has ended: until then, its process group id stays its own.
type watchman struct {
	socket  int
	buffer  []byte // for what arrives
	in, out []byte
	files   []int // received
	shell   []int // descriptors that the shell has opened for COMMAND
	holder  string
	alone   bool // the holder has ended
	done    bool // the holder needs the guard no more

	clock clock.Clock
	alarm *alarm
	woken int // becomes readable when a child has ended, stopped or continued

	lease  Lease
	killAt clock.Instant // 0: never

	starting  *Start   // the request that is to be performed; nil: none
	command   int      // process id; 0: not started
	stands    *Watched // the process that COMMAND stands for; nil: none
	ended     bool
	collected bool
	status    syscall.WaitStatus
	reap      bool // the holder has allowed to collect COMMAND
	empty     bool // Empty was sent
	kill      bool // everything is being killed
	gone      bool // everything was killed
	rest      bool // the holder waits until no descendant is left
	changed   bool // something other than the deadline has changed since the last look at the children
	killed    bool // COMMAND was still running when the guard decided to kill it
	late      bool // it decided that because of the deadline

	task    string // see Start
	member  member
	program program
}

func newWatchman() (*watchman, error) {
	socket, err := strconv.Atoi(os.Getenv(SocketVariable))
	if err != nil {
		return nil, errors.New("started by hand: run lock instead")
	}
	for _, name := range []string{SocketVariable, "GOMAXPROCS"} {
		_ = os.Unsetenv(name)
	}
	nameThread(Argv0)
	survive()
	syscall.CloseOnExec(socket)
	w := &watchman{socket: socket, shell: opened(), clock: clock.System()}
	if err := syscall.SetNonblock(socket, true); err != nil {
		return nil, err
	}
	if w.alarm, err = newAlarm(); err != nil {
		return nil, err
	}
	adopt()
	w.woken, err = wakeOnChild()

	return w, err
}

// survive keeps signals from ending or stopping the guard. It catches them and does not ignore them, because COMMAND
// would inherit that.
func survive() {
	var signals []os.Signal
	for sig := syscall.Signal(1); sig <= lastSignal; sig++ {
		switch sig {
		case syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGCHLD, syscall.SIGURG, syscall.SIGCONT,
			syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGFPE:
		default:
			signals = append(signals, sig)
		}
	}
	signal.Notify(make(chan os.Signal, 1), signals...) // package signal drops what nobody receives
}

// wakeOnChild returns the end of a pipe that becomes readable with each SIGCHLD.
func wakeOnChild() (fd int, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	fd, err = fcntl(int(r.Fd()), dupCloexec, 0)
	if err != nil {
		return 0, err
	}
	r.Close()
	if err := syscall.SetNonblock(fd, true); err != nil {
		return 0, err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGCHLD)
	go func() { // ends with the process
		for range signals {
			_, _ = w.Write([]byte{0}) // the watchman always reads
		}
	}()

	return fd, nil
}

// opened returns the descriptors above 2 that this process has inherited. Those that it opens itself are closed when it
// starts a process.
func opened() (fds []int) {
	for _, fd := range openDescriptors() {
		if fd < 3 {
			continue
		}
		if flags, err := fcntl(fd, syscall.F_GETFD, 0); err == nil && flags&syscall.FD_CLOEXEC == 0 {
			fds = append(fds, fd)
		}
	}

	return fds
}

// run returns when the guard has nothing to do but end the session, if it may.
func (w *watchman) run() {
	for {
		w.receive()
		if late := w.late || w.overdue() && !w.kill; late || w.alone {
			w.killed = w.killed || !w.ended && w.command != 0
			w.kill, w.late = true, late
			if w.lease.DSN != "" {
				w.program.initialise() // meanwhile the processes end
			}
		}
		switch {
		case w.command == 0 && (w.alone || w.done):
			return
		case w.command != 0:
			w.look()
		}
		w.flush()
		if w.done && (!w.kill || w.gone) || w.expired(w.lease.Timeout) {
			return
		}
		if w.gone && (w.alone || w.expired(0)) {
			w.leave()
			if w.member.passed() {
				return
			}
		}
		w.wait()
	}
}

// leave is called when COMMAND is gone and the holder does not end the session. Other guards of the session may still
// have to kill theirs.
func (w *watchman) leave() {
	w.member.leave()
	if w.alone && w.killed {
		w.killed = false
		w.explain()
	}
}

// overdue reports whether it is time to kill COMMAND because of the deadline.
func (w *watchman) overdue() bool { return w.killAt != 0 && w.clock.Now() >= w.killAt }

// expired reports whether the deadline passed at least a time ago. After the deadline, there is no reason to wait for
// the holder, which may be frozen. A session timeout later, there is no session left.
func (w *watchman) expired(since time.Duration) bool {
	return w.lease.Deadline != 0 && w.clock.Now() >= w.lease.Deadline.Add(since)
}

// wait waits for a message, for a change of a child, or until something is due.
func (w *watchman) wait() {
	events := []pollFd{
		{Fd: int32(w.socket), Events: pollIn},
		{Fd: int32(w.woken), Events: pollIn},
		{Fd: w.alarm.fd(), Events: pollIn},
		w.member.events(),
	}
	if w.alone {
		events[0].Fd = -1
	} else if len(w.out) > 0 {
		events[0].Events |= pollOut
	}
	limit := -1
	due := w.killAt
	if w.gone {
		due = w.lease.Deadline
		if w.expired(0) {
			due = due.Add(w.lease.Timeout)
		}
	}
	if due != 0 && (!w.kill || w.gone) {
		limit = w.alarm.set(w.clock, due)
	}
	if w.kill && !w.gone || w.collected && !w.empty {
		limit = int(pause / time.Millisecond)
	}
	ready, _ := poll(events, limit) // whatever the result, run looks at everything
	w.changed = w.changed || ready <= 0
	var drain [64]byte
	for n := len(drain); n == len(drain); {
		n, _ = syscall.Read(w.woken, drain[:])
		w.changed = w.changed || n > 0
	}
	w.alarm.drain()
}

// mayEndSession reports whether no process works under the session any longer, and whether its holder can no longer end
// it.
func (w *watchman) mayEndSession() bool {
	return w.gone && !w.done && w.lease.DSN != "" && w.lease.Session != 0
}
