package workerscmd

import (
	"context"
	"sync"
	"syscall"

	"tenure/internal/cli"
)

// handleSignals handles the signals that neither stop the tasks nor belong to them, until stop is called: HUP reads the
// list of tasks again, and USR1 prints the table. end ends the context of the worker.
func (w *worker) handleSignals(ctx context.Context, end context.CancelCauseFunc, client *cli.Client) (stop func()) {
	handled, cancel := context.WithCancel(context.WithoutCancel(ctx))
	hangUps, prints := make(chan syscall.Signal, 1), make(chan struct{}, 1)
	release := cli.Divert(ctx, syscall.SIGHUP, hangUps)
	ignore := notifyPrint(prints)
	terminal := hasTerminal()
	var running sync.WaitGroup
	running.Go(func() { // ends with stop
		for {
			select {
			case <-handled.Done():
				return
			case sig := <-hangUps:
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
		release()
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
