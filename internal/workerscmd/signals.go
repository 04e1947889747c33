package workerscmd

import (
	"context"
	"sync"

	"tenure/internal/cli"
)

// handleSignals handles the signals that neither stop the tasks nor belong to them, until stop is called: HUP reads the
// list of tasks again, and USR1 prints the table. end ends the context of the worker.
func (w *worker) handleSignals(ctx context.Context, end context.CancelCauseFunc, client *cli.Client) (stop func()) {
	handled, cancel := context.WithCancel(context.WithoutCancel(ctx))
	prints := make(chan struct{}, 1)
	ignore := notifyPrint(prints)
	terminal := hasTerminal()
	var running sync.WaitGroup
	running.Go(func() { // ends with stop
		for {
			select {
			case <-handled.Done():
				return
			case sig := <-w.hangUps:
				if terminal && !hasTerminal() {
					w.say("stopping tasks")
					end(&cli.Interrupt{Signal: sig})

					continue
				}
				w.readAgain()
			case <-prints:
				w.printTable(handled, client)
			}
		}
	})

	return func() {
		cancel()
		ignore()
		running.Wait()
	}
}

// readAgain makes the list of tasks be read again.
func (w *worker) readAgain() {
	if w.list == nil {
		w.answerReload()

		return
	}
	select {
	case w.reload <- struct{}{}:
	default: // it is about to be read
	}
}
