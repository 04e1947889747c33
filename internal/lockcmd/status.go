package lockcmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/cli"
	"tenure/internal/look"
	"tenure/internal/printable"
	"tenure/internal/ydberr"
)

// exitFree is the exit code of --status if no lock is held.
const exitFree = 1

// A status is what --status prints of one lock.
type status struct {
	look.Semaphore

	Once *run `json:"once,omitempty"` // the newest successful run with --once
}

// showStatus prints the holders of the locks and the waiters.
func (l *locker) showStatus(ctx context.Context) error {
	client, err := l.connect(ctx)
	if err != nil {
		return err
	}
	defer client.Close(ctx)
	session, err := l.Look(ctx, client)
	switch {
	case ydberr.NoNode(err): // nobody has used it yet
	case err != nil:
		return err
	default:
		defer cli.EndLook(ctx, session)
	}
	free := true
	for _, name := range l.names {
		s := status{Semaphore: look.Free(name)}
		if session != nil {
			if s, err = describe(ctx, session, name); err != nil {
				return err
			}
		}
		free = free && !s.Held
		if err := l.printStatus(s); err != nil {
			return err
		}
	}
	if free {
		return &cli.ExitError{Code: exitFree}
	}

	return nil
}

// describe describes the lock.
func describe(ctx context.Context, session coordination.Session, name string) (s status, err error) {
	if s.Semaphore, _, err = look.Describe(ctx, session, name); err != nil {
		return s, err
	}
	runs, err := recordOf(session, name).read(ctx)
	if n := len(runs); err == nil && n > 0 {
		s.Once = &runs[n-1]
	}

	return s, nil
}

// printStatus prints the status of one lock on standard output.
func (l *locker) printStatus(s status) error {
	if l.output == "json" {
		return json.NewEncoder(l.env.Data).Encode(s)
	}
	_, err := io.WriteString(l.env.Data, s.text(now(l.clock), l.env.Style()))

	return err
}

// text returns the status for people.
func (s status) text(now time.Time, style printable.Style) string {
	text := s.Semaphore.Text(now, style)
	if s.Once != nil {
		text += fmt.Sprintf("  last done for %q by %s at %s, token %d\n", s.Once.Key, printable.Text(s.Once.By),
			s.Once.At.Local().Format(time.DateTime), s.Once.Token)
	}

	return text
}
