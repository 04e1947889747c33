//go:build unix

package watchman

import (
	"os"
	"runtime"
	"sync"
	"time"
)

// Argv0 is the name of a guard in lists of processes, and selects that a process is one.
const Argv0 = "tenure-guard"

// SocketVariable names the guard's end of the socket pair.
const SocketVariable = "TENURE_GUARD_SOCKET"

// A program is the rest of the program in the process of a guard. It is not initialised until the guard needs it.
type program struct {
	initialise func() // begins it; it can be called several times
	helpers    func() Helpers
}

// Helpers are functions for a guard that need other packages.
type Helpers struct {
	Explain    func(holder, task string) // tells the user that COMMAND was killed because the holder has ended
	EndSession func(Lease)               // ends the session on the server
}

// helpers passes the helpers from Main to the guard.
var helpers = make(chan Helpers)

// The guard begins here, and the initialisation of the program stops here until the guard needs the program. Then both
// go on at the same time, because the guard must not stop watching.
func init() { //nolint:gochecknoinits // main would be too late: see the package comment
	switch {
	case watcherSelected():
		os.Exit(watcherMain()) //nolint:forbidigo // this is the main function of the process
	case Selected():
		needed := make(chan struct{})
		begin(func() {
			runtime.GOMAXPROCS(2) //nolint:mnd // so that the guard does not wait for the initialisation
			close(needed)
		})
		<-needed
	}
}

// begin starts the guard of this process. It calls initialise once at most.
func begin(initialise func()) {
	w, err := newWatchman()
	if err != nil {
		_, _ = os.Stderr.WriteString(Argv0 + ": " + err.Error() + "\n")
		os.Exit(1) //nolint:forbidigo // as above
	}
	w.program.initialise = sync.OnceFunc(initialise)
	w.program.helpers = sync.OnceValue(func() Helpers {
		w.program.initialise()

		return <-helpers
	})
	go func() { // ends with the process
		runtime.LockOSThread()
		w.run()
		w.finish()
		os.Exit(0) //nolint:forbidigo // as above
	}()
}

// Main is the main function of a guard. The process ends when the guard has nothing more to do.
func Main(h Helpers) {
	helpers <- h
	select {}
}

// finish is called when the guard has nothing to watch any more.
func (w *watchman) finish() {
	if w.alone && w.killed {
		w.program.helpers().Explain(w.holder, w.task)
	}
	if w.done || w.command == 0 {
		w.member.leave()
	}
	if w.mayEndSession() && w.member.endsSession() {
		w.program.helpers().EndSession(w.lease)
	}
}

// initialiseAfter is how long COMMAND of a lease on a remote server runs before the guard lets the program initialise,
// so that it can end the session without a delay. Most COMMANDs that end earlier end in order.
const initialiseAfter = time.Second
