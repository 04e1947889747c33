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
	initialise func()             // begins it; it can be called several times
	ender      func() func(Lease) // returns the function that ends the session on the server
}

// enders passes this function from Main to the guard.
var enders = make(chan func(Lease))

// The guard begins here, and the initialisation of the program stops here until the guard needs the program.
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
	w.program.ender = func() func(Lease) {
		w.program.initialise()

		return <-enders
	}
	go func() { // ends with the process
		runtime.LockOSThread()
		w.run()
		w.finish()
		os.Exit(0) //nolint:forbidigo // as above
	}()
}

// Main is the main function of a guard, which calls end to end the session on the server. The process ends when the
// guard has nothing more to do.
func Main(end func(Lease)) {
	enders <- end
	select {}
}

// finish is called when the guard has nothing to watch any more.
func (w *watchman) finish() {
	if w.alone && w.killed {
		w.explain()
	}
	if w.done || w.command == 0 {
		w.member.leave()
	}
	if w.mayEndSession() && w.member.endsSession() {
		w.program.ender()(w.lease)
	}
}

// initialiseAfter is how long COMMAND of a lease on a remote server runs before the guard lets the program initialise,
// so that it can end the session without a delay. A COMMAND that ends earlier seldom needs that.
const initialiseAfter = time.Second
