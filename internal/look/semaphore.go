// Package look describes the semaphores of a server to people and to programs. The commands that show who holds what
// share it, so that all of them print the same text and the same JSON.
package look

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/internal/identity"
	"tenure/internal/ydberr"
	"tenure/server"
)

// A Semaphore is a semaphore at one moment. Its fields are documented in docs/operations.md.
type Semaphore struct {
	Name    string   `json:"name"`
	Held    bool     `json:"held"`
	Limit   uint64   `json:"limit,omitempty"` // absent: it has none, as the semaphores that lock creates
	Count   uint64   `json:"count,omitempty"` // what the holders have of the limit
	Data    string   `json:"data,omitempty"`
	Holders []Holder `json:"holders"` // by token
	Waiters []Holder `json:"waiters"` // in the order of the queue

	full bool // nothing is left of the limit, also if it is not shown
}

// A Holder is an owner of a semaphore, or a waiter.
type Holder struct {
	Who     string     `json:"who"`
	Since   *time.Time `json:"since,omitempty"`        // a holder has it, or a waiter waits, since then; absent: not known
	Before  *time.Time `json:"since_before,omitempty"` // a holder had it already when the server was started then
	Until   *time.Time `json:"until,omitempty"`        // its work is done, and it keeps the semaphore until then
	Lost    *time.Time `json:"lost_until,omitempty"`   // this process has lost the session, which ends then at the latest
	Session uint64     `json:"session"`
	Token   uint64     `json:"token"`
	Count   uint64     `json:"count,omitempty"` // of the limit

	Description string `json:"description,omitempty"` // of the session
	Connected   *bool  `json:"connected,omitempty"`   // false: the session timeout is running; absent: not known

	person string // in place of Who, for people; empty: Who
}

// Free returns a semaphore that nobody holds. Semaphores that lock creates exist only while somebody uses them.
func Free(name string) Semaphore {
	return Semaphore{Name: name, Holders: []Holder{}, Waiters: []Holder{}}
}

// Describe asks the server for a semaphore. If it does not exist, nobody holds it, and found is false. The options can
// add a watch.
func Describe(
	ctx context.Context, session coordination.Session, name string, opts ...options.DescribeSemaphoreOption,
) (s Semaphore, found bool, err error) {
	d, err := session.DescribeSemaphore(ctx, name, append([]options.DescribeSemaphoreOption{
		options.WithDescribeOwners(true), options.WithDescribeWaiters(true),
	}, opts...)...)
	switch {
	case ydberr.Is(err, Ydb.StatusIds_NOT_FOUND):
		return Free(name), false, nil
	case err != nil:
		return Free(name), false, err
	}

	return OfDescription(name, d), true, nil
}

// OfDescription returns the semaphore that the server has described.
func OfDescription(name string, d *coordination.SemaphoreDescription) Semaphore {
	s := Semaphore{Name: name, Held: len(d.Owners) > 0, Data: string(d.Data), full: d.Count >= d.Limit}
	if !d.Ephemeral {
		s.Limit, s.Count = d.Limit, d.Count
	}
	holders := func(all []*coordination.SemaphoreSession) []Holder {
		list := make([]Holder, 0, len(all))
		for _, o := range all {
			h := NewHolder(o.SessionID, o.OrderID, o.Data)
			h.person = person(name, o.SessionID, o.OrderID, string(o.Data))
			if !d.Ephemeral {
				h.Count = o.Count
			}
			list = append(list, h)
		}
		slices.SortFunc(list, func(a, b Holder) int { return cmp.Compare(a.Token, b.Token) }) // YDB sorts only waiters

		return list
	}
	s.Holders, s.Waiters = holders(d.Owners), holders(d.Waiters)

	return s
}

// OfStatus returns a semaphore in the status of a server.
func OfStatus(status server.SemaphoreStatus) Semaphore {
	s := Semaphore{Name: status.Name, Held: len(status.Owners) > 0, Data: status.Data, full: status.Count >= status.Limit}
	if !status.Ephemeral {
		s.Limit, s.Count = status.Limit, status.Count
	}
	holders := func(all []server.HolderStatus) []Holder {
		list := make([]Holder, 0, len(all))
		for _, o := range all {
			h := NewHolder(o.Session, o.Token, []byte(cmp.Or(o.Data, o.Description)))
			h.person = person(status.Name, o.Session, o.Token, o.Data)
			h.Description, h.Connected = o.Description, &o.Attached
			h.dates(o.Since, o.SinceBefore)
			if !status.Ephemeral {
				h.Count = o.Count
			}
			list = append(list, h)
		}

		return list
	}
	s.Holders, s.Waiters = holders(status.Owners), holders(status.Waiters)

	return s
}

// NewHolder returns an owner or a waiter as its data describes it.
func NewHolder(session, token uint64, data []byte) Holder {
	card := identity.ReadCard(data)
	h := Holder{Who: card.Who, Session: session, Token: token}
	if h.Who == "" {
		h.Who = fmt.Sprintf("session %d", session)
	}
	if !card.Since.IsZero() {
		h.Since = &card.Since
	}
	if !card.Until.IsZero() {
		h.Until = &card.Until
	}

	return h
}

// dates notes the dates of the server, which are more certain than those of the client. The server forgets dates of
// grants when it is restarted.
func (h *Holder) dates(since, before time.Time) {
	switch {
	case !since.IsZero():
		h.Since = &since
	case h.Since == nil && !before.IsZero():
		h.Before = &before
	}
}

// Find returns the semaphore of a node in the status of a server. It is free if it does not exist.
func Find(status server.Status, path, name string) Semaphore {
	for _, n := range status.Nodes {
		if n.Path != path {
			continue
		}
		i, found := slices.BinarySearchFunc(n.Semaphores, name, func(s server.SemaphoreStatus, name string) int {
			return cmp.Compare(s.Name, name)
		})
		if found {
			return OfStatus(n.Semaphores[i])
		}
	}

	return Free(name)
}
