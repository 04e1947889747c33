package lockcmd

import (
	"context"
	"errors"
	"time"

	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/internal/dsn"
)

// connectPause is the pause between two attempts to connect.
const connectPause = 500 * time.Millisecond

// connect connects to the server. If lock may wait, because of --wait or because it supervises COMMAND, a server that
// is down is not an error until the time is over.
func (l *locker) connect(ctx context.Context) (*cli.Client, error) {
	l.began = l.clock.Now()
	for said := ""; ; {
		client, err := l.Open(ctx, l.monitor)
		late := l.wait >= 0 && l.clock.Now().Sub(l.began)+connectPause >= l.wait
		patient := l.wait > 0 || l.restart == restartAlways && l.command != nil
		if err == nil || ctx.Err() != nil || !patient || late || !dsn.Transient(err) {
			return client, err
		}
		if text := err.Error(); text != said {
			said = text
			l.complain(errors.New(text + ": trying again"))
		}
		if !clock.Pause(ctx, l.clock, connectPause) {
			return nil, context.Cause(ctx)
		}
	}
}
