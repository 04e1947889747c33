package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/internal/term"
	"tenure/internal/ydberr"
)

// LookTimeout is the timeout of sessions that only look. It is short, because such a session has nothing to lose.
const LookTimeout = 5 * time.Second

// Look opens a session on the node to look at it, after Check. A missing node stays missing. The client tries again
// while the server refuses temporarily, so there is a limit. For the embedded server there is none: its notices say
// what it waits for. The caller ends the session with EndLook.
func (s *Session) Look(ctx context.Context, client *Client) (coordination.Session, error) {
	limited := ctx
	if !s.Embedded() {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, s.ConnectTimeout)
		defer cancel()
	}
	session, err := client.Session(limited, s.Path, options.WithSessionTimeout(LookTimeout))
	switch {
	case err == nil:
		return session, nil
	case ydberr.NoNode(err), ctx.Err() != nil, limited.Err() == nil:
		return nil, err
	case ydberr.Answered(err), ydberr.Busy(err), ydberr.Unreachable(err):
		return nil, ydberr.Wrap(fmt.Sprintf("open session on node %q", s.Path), err)
	}

	return nil, ydberr.Because(fmt.Sprintf("open session on node %q: no answer from the server within %v", s.Path,
		s.ConnectTimeout), err)
}

// EndLook ends a session that Look has opened.
func EndLook(ctx context.Context, session coordination.Session) {
	limited, cancel := term.Farewell(ctx)
	defer cancel()
	_ = session.Close(limited) // if it fails, the session times out, and it owns nothing
}
