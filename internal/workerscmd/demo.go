package workerscmd

import (
	"context"
	"time"

	"tenure/internal/clock"
	"tenure/workers"
)

// demonstrate is a task without COMMAND. It prints lines that show that it runs.
func (w *worker) demonstrate(ctx context.Context, t *workers.Task) error {
	for clock.Pause(ctx, clock.Go(), time.Second) {
		t.Heard()
		w.say("worker " + t.Name() + ": in progress")
	}
	w.say("worker " + t.Name() + ": done")

	return nil
}
