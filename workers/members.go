package workers

import (
	"bytes"
	"context"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/internal/clock"
	"tenure/internal/roster"
	"tenure/internal/term"
)

// The pauses between two descriptions of the membership semaphore. All workers describe it after each change, so the
// pause grows with their number: the server then sends a limited number of announcements per second and worker.
const (
	lookPause = 10 * time.Millisecond
	lookPer   = 2 * time.Millisecond // more for each worker
	pollPause = 5 * time.Second      // if the watch reports no change
	failPause = time.Second          // after an error
)

// watchMembers passes the announcements to the core, whenever they change, until the session ends.
func (s *shift) watchMembers() {
	ctx, cancel := context.WithCancel(s.watching)
	defer cancel()
	defer context.AfterFunc(s.term.Context(), cancel)()
	name := roster.MembersOf(s.poolName)
	var known announcements
	for ctx.Err() == nil {
		changed := make(chan struct{}, 1) // the handler is called at most once
		found, err := s.term.Look(ctx, name, options.WithSemaphoreWatch(options.WatchOwners,
			func(options.SemaphoreWatchEvent) { changed <- struct{}{} }))
		if err != nil || found.Missing() {
			clock.Pause(ctx, s.clock, failPause)

			continue
		}
		members := known.decode(found)
		s.tell(func() {
			if !s.closed {
				s.core.View(s.clock.Now(), members)
			}
		})
		if !clock.Pause(ctx, s.clock, lookPause+lookPer*time.Duration(len(members))) {
			return
		}
		limited, end := context.WithTimeout(ctx, pollPause)
		select {
		case <-changed:
		case <-limited.Done():
		}
		end()
	}
}

// announcements are those of the newest description. Most of them are the same in the next one.
type announcements map[uint64]announcement

type announcement struct {
	data   []byte
	member roster.Member
}

// decode reads the announcements of a description. It leaves out owners that are not workers.
func decode(found *term.State) []roster.Member {
	var a announcements

	return a.decode(found)
}

func (a *announcements) decode(found *term.State) []roster.Member {
	var members []roster.Member
	next := make(announcements, len(found.Owners))
	for _, o := range found.Owners {
		known, ok := (*a)[o.SessionID]
		if !ok || known.member.Token != o.OrderID || !bytes.Equal(known.data, o.Data) {
			m, err := roster.Decode(o.SessionID, o.OrderID, o.Data)
			if err != nil {
				continue
			}
			known = announcement{o.Data, m}
		}
		next[o.SessionID] = known
		members = append(members, known.member)
	}
	*a = next

	return members
}

// peek reports who owns a task that no worker of the pool owns.
func (s *shift) peek(name string) {
	s.use(func() {
		ctx, cancel := term.Limit(s.calls)
		defer cancel()
		found, err := s.term.Look(ctx, name)
		if err != nil || found.Missing() {
			return
		}
		var holders []Holder
		for _, o := range found.Owners {
			if o.SessionID != s.term.SessionID() {
				lost, _ := s.term.GivenUp(o.SessionID)
				holders = append(holders, Holder{Session: o.SessionID, Token: o.OrderID, Data: o.Data, Lost: lost})
			}
		}
		if len(holders) > 0 {
			s.tell(func() { s.observe(Blocked{Task: name, Holders: holders}) })
		}
	})
}
