package lockcmd

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"tenure/internal/ancestry"
	"tenure/internal/cli"
	"tenure/lock"
)

// nested acquires the lock if an ancestor of this process holds it too, which is possible if both share it. It must not
// wait: the ancestor waits for this process, so the wait might never end. Nested returns nil without an error if no
// ancestor holds the lock. An ancestor may have lost a lock that it lists in TENURE_HELD.
func (l *locker) nested(ctx context.Context, client *cli.Client) (*lock.Held, error) {
	var above []ancestry.Hold
	for _, name := range l.names {
		if h, found := ancestry.Under(l.ancestors, l.ServerID(), l.Path, name); found {
			above = append(above, h)
		}
	}
	if len(above) == 0 {
		return nil, nil
	}
	held, err := lock.TryAcquire(ctx, client, l.Path, l.names[0], l.options()...)
	busy, taken := errors.AsType[*lock.BusyError](err)
	if !taken {
		return held, err
	}
	for _, h := range above {
		if h.Name != busy.Name {
			continue
		}
		holds := slices.ContainsFunc(busy.Holders, func(o lock.Holder) bool {
			return o.Session == h.Session && o.Token == h.Token
		})
		if holds {
			return nil, fmt.Errorf("%q is held by an ancestor of this process (token %d), so the wait would never end: "+
				"use another NAME inside COMMAND", h.Name, h.Token)
		}
	}

	return nil, nil
}
