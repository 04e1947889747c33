package lockcmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/internal/cli"
	"tenure/internal/ydberr"
	"tenure/lock"
)

// exitFree is the exit code of --status if no lock is held.
const exitFree = 1

// A status is what --status prints of one lock.
type status struct {
	Name    string   `json:"name"`
	Held    bool     `json:"held"`
	Limit   uint64   `json:"limit,omitempty"` // see --limit; absent: the lock has none
	Holders []holder `json:"holders"`
	Waiters []holder `json:"waiters"`
	Once    *run     `json:"once,omitempty"` // the newest successful run with --once
}

// showStatus prints the holders of the locks and the waiters.
func (l *locker) showStatus(ctx context.Context) error {
	client, err := l.connect(ctx)
	if err != nil {
		return err
	}
	defer client.Close(ctx)
	session, err := l.session(ctx, client)
	switch {
	case ydberr.NoNode(err): // nobody has used it yet
	case err != nil:
		return err
	default:
		defer closeSession(ctx, session)
	}
	free := true
	for _, name := range l.names {
		s := status{Name: name, Holders: []holder{}, Waiters: []holder{}}
		if session != nil {
			if s, err = look(ctx, session, name); err != nil {
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

// session opens a session to look at the node. The node stays missing if it is.
func (l *locker) session(ctx context.Context, client *cli.Client) (coordination.Session, error) {
	return client.Session(ctx, l.Path, options.WithSessionTimeout(l.Timeout))
}

func closeSession(ctx context.Context, session coordination.Session) {
	_ = session.Close(context.WithoutCancel(ctx)) // if it fails, the session times out, and it owns nothing
}

// look describes the lock.
func look(ctx context.Context, session coordination.Session, name string) (status, error) {
	s := status{Name: name, Holders: []holder{}, Waiters: []holder{}}
	found, err := session.DescribeSemaphore(ctx, name,
		options.WithDescribeOwners(true), options.WithDescribeWaiters(true))
	switch {
	case ydberr.Is(err, Ydb.StatusIds_NOT_FOUND):
	case err != nil:
		return s, err
	default:
		s.Held = len(found.Owners) > 0
		if !found.Ephemeral {
			s.Limit = found.Limit
		}
		s.Holders, s.Waiters = holders(listed(found.Owners)), holders(listed(found.Waiters))
	}
	runs, err := recordOf(session, name).read(ctx)
	if n := len(runs); err == nil && n > 0 {
		s.Once = &runs[n-1]
	}

	return s, nil
}

func listed(all []*coordination.SemaphoreSession) []lock.Holder {
	list := make([]lock.Holder, 0, len(all))
	for _, o := range all {
		list = append(list, lock.Holder{Session: o.SessionID, Token: o.OrderID, Count: o.Count, Data: o.Data})
	}

	return list
}

// printStatus prints the status of one lock on standard output.
func (l *locker) printStatus(s status) error {
	if l.output == "json" {
		return json.NewEncoder(l.env.Data).Encode(s)
	}
	_, err := io.WriteString(l.env.Data, s.text(now(l.clock)))

	return err
}

// text returns the status for people.
func (s status) text(now time.Time) string {
	var b strings.Builder
	switch {
	case !s.Held:
		fmt.Fprintf(&b, "%q is free\n", s.Name)
	case s.Limit > 0:
		fmt.Fprintf(&b, "%q has %d holders, limit %d\n", s.Name, len(s.Holders), s.Limit)
	default:
		fmt.Fprintf(&b, "%q is held\n", s.Name)
	}
	for _, h := range s.Holders {
		fmt.Fprintf(&b, "  held by %s, token %d, session %d\n", h.text(now), h.Token, h.Session)
	}
	for i, w := range s.Waiters {
		fmt.Fprintf(&b, "  waiter %d: %s, session %d\n", i+1, w.Who, w.Session)
	}
	if s.Once != nil {
		fmt.Fprintf(&b, "  last done for %q by %s at %s, token %d\n", s.Once.Key, s.Once.By,
			s.Once.At.Local().Format(time.DateTime), s.Once.Token)
	}

	return b.String()
}

// text describes a holder.
func (h holder) text(now time.Time) string {
	switch {
	case h.Until != nil:
		return fmt.Sprintf("%s, done, held until %s", h.Who, h.Until.Local().Format(time.DateTime))
	case h.Since != nil:
		return fmt.Sprintf("%s for %s, since %s", h.Who, cli.Short(now.Sub(*h.Since)), h.Since.Local().Format(time.DateTime))
	}

	return h.Who
}
