//go:build unix

package workerscmd

import (
	"os"
	"os/signal"
	"syscall"

	"tenure/internal/disposition"
	"tenure/internal/tty"
)

// notifyPrint sends to the channel whenever SIGUSR1 arrives, until stop is called.
func notifyPrint(prints chan<- struct{}) (stop func()) {
	if disposition.IsIgnored(syscall.SIGUSR1) {
		return func() {}
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	stopped := make(chan struct{})
	go func() { // ends with stop
		for {
			select {
			case <-signals:
				select {
				case prints <- struct{}{}:
				default: // the table is about to be printed
				}
			case <-stopped:
				return
			}
		}
	}()

	return func() {
		signal.Stop(signals)
		close(stopped)
	}
}

// hasTerminal reports whether this process has a controlling terminal. When that is closed, the system sends SIGHUP,
// which then does not ask for the list of tasks.
func hasTerminal() bool {
	t := tty.Open()
	defer t.Close()

	return t != nil
}
