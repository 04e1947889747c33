//go:build unix

package watchman

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"tenure/internal/clock"
)

// watchArgv0 selects that a process stands for another one. See [Watcher].
const watchArgv0 = "tenure-watch"

// A Watched is a process that works under a lease although no process of this package has started it.
type Watched struct {
	pid int
	fd  int // a descriptor of the process, so that its id is not mistaken for that of a later process; -1: none
}

// Watch finds the process. The caller must call Close.
func Watch(pid int) (*Watched, error) {
	w := &Watched{pid: pid, fd: openProcess(pid)}
	if err := w.Signal(0); err != nil {
		w.Close()

		return nil, err
	}

	return w, nil
}

// Close frees the resources of w.
func (w *Watched) Close() {
	if w.fd >= 0 {
		_ = syscall.Close(w.fd)
	}
}

// Signal sends the signal to the process.
func (w *Watched) Signal(sig syscall.Signal) error {
	if w.fd >= 0 {
		return signalProcess(w.fd, sig)
	}

	return syscall.Kill(w.pid, sig)
}

// Ended reports whether the process has ended.
func (w *Watched) Ended() bool {
	return w.fd >= 0 && processEnded(w.fd) || errors.Is(w.Signal(0), syscall.ESRCH)
}

// EndOf returns a channel that is closed when the process has ended, also if its parent has not collected it. It
// returns nil if the system cannot tell.
func EndOf(pid int) <-chan struct{} {
	w, err := Watch(pid)
	if err != nil || w.fd < 0 {
		return nil
	}

	return w.end(w.Close)
}

// end returns a channel that is closed when the process has ended and cleanup has returned.
func (w *Watched) end(cleanup func()) <-chan struct{} {
	ended := make(chan struct{})
	go func() { // ends with the process
		defer close(ended)
		w.await()
		cleanup()
	}()

	return ended
}

// Release is the signal that ends a Watcher before the process has ended.
const Release = syscall.SIGUSR1

// Watcher returns the arguments of a COMMAND that stands for the process with this id. It ends when the process ends,
// and passes signals on to it, except [Release].
func Watcher(pid int) []string { return []string{watchArgv0, strconv.Itoa(pid)} }

// watcherSelected reports whether this process was started as a Watcher.
func watcherSelected() bool { return len(os.Args) == 2 && os.Args[0] == watchArgv0 } //nolint:mnd // as Watcher has it

// watcherMain is the main function of a Watcher. It returns the exit code.
func watcherMain() int {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals)
	pid, err := strconv.Atoi(os.Args[1])
	if err != nil {
		return 1
	}
	w, err := Watch(pid)
	if err != nil {
		return 0 // it has ended
	}
	ended := w.end(func() {}) // signals need w
	for {
		select {
		case <-ended:
			return 0
		case sig := <-signals:
			switch sig {
			case Release:
				return 0
			case syscall.SIGURG, syscall.SIGCHLD, syscall.SIGCONT, syscall.SIGPIPE: // of this process
			default:
				_ = w.Signal(sig.(syscall.Signal)) // it fails if the process has just ended
			}
		}
	}
}

// poll returns when the process has ended. It looks from time to time, so it may mistake a later process with the same
// id for this one.
func (w *Watched) poll() {
	for !w.Ended() {
		clock.Pause(context.Background(), clock.Go(), pollEvery)
	}
}

// pollEvery is the pause between two looks of poll.
const pollEvery = 50 * time.Millisecond
