package server

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/store"
)

// A server that cannot reach the common store answers nothing, because it can prove nothing. If another server can
// reach it, clients are better off there: that one takes the nodes over as soon as this one seems to be dead. If no
// server can, as while etcd elects a leader, this one keeps its streams, which go on when the store answers again.

const (
	// suspectAfter is how long the common store must not have answered. An attempt that is made in vain at a member of
	// etcd which stands still takes as long, and the next one goes to another member.
	suspectAfter = 2 * time.Second
	// reachLimit is how long a server that is asked may take to reach the common store, and how long this one tries to
	// reach it meanwhile.
	reachLimit = 500 * time.Millisecond
	// contactPeriod is the time between two looks at a common store that does not answer.
	contactPeriod = 250 * time.Millisecond
)

// cutOff is the Failure for streams of a server that cannot reach the common store.
var cutOff = node.Failure{
	Status: node.Unavailable, Issue: "this server cannot reach etcd, but other servers can: use one of them",
}

var errCutOff = errors.New(cutOff.Issue)

// contact knows whether this server is the one that cannot reach the common store.
type contact struct {
	mu     sync.Mutex              // guards the following fields
	ctx    context.Context         //nolint:containedctx // ends with errCutOff when the contact is lost
	cancel context.CancelCauseFunc // of ctx
}

func newContact() *contact {
	c := new(contact)
	c.back()

	return c
}

func (c *contact) current() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.ctx
}

// end returns a channel that is closed when the contact is lost. It stays closed when the contact is back.
func (c *contact) end() <-chan struct{} { return c.current().Done() }

func (c *contact) isLost() bool { return c.current().Err() != nil }

func (c *contact) lose() { c.cancel(errCutOff) }

func (c *contact) back() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
}

// bound returns a context that also ends when the contact is lost, with the cause errCutOff.
func (c *contact) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.current(), func() { cancel(errCutOff) })

	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// watchContact keeps the contact up to date until ctx ends. When it is lost, it ends the streams of the nodes that this
// server serves.
func (f *front) watchContact(ctx context.Context) {
	for clock.Pause(ctx, f.clock, max(contactPeriod, suspectAfter-f.members.Silence())) {
		switch silent := f.members.Silence() >= suspectAfter; {
		case f.contact.isLost():
			if !silent {
				f.contact.back()
				f.log.InfoContext(ctx, "etcd answers this server again")
			}
		case silent && f.alone(ctx):
			f.contact.lose()
			f.log.WarnContext(ctx, "only this server cannot reach etcd: its clients have to use others")
			for s := range f.nodes.streams() {
				s.checkContact()
			}
		}
	}
}

// checkContact ends the stream if this server cannot reach the common store.
func (s *stream) checkContact() {
	if c := s.owner.env.contact; c != nil && c.isLost() {
		s.because(endStore)
		s.die(cutOff)
	}
}

// alone reports whether another server reaches the common store now, and this one does not.
func (f *front) alone(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, reachLimit)
	defer cancel()
	var asking errgroup.Group
	asking.Go(func() error { return f.members.Reach(ctx) })
	found := make(chan struct{}, 1)
	for _, m := range f.others(ctx) {
		asking.Go(func() error {
			a, err := f.ask(ctx, dialable(m), question{Ask: askReach})
			if err == nil && a.Reaches {
				select {
				case found <- struct{}{}:
				default:
				}
			}

			return nil
		})
	}
	self := asking.Wait()

	return self != nil && len(found) > 0
}

// others returns the other servers that seem to be alive and stay.
func (f *front) others(ctx context.Context) []store.Member {
	all, _ := f.look(ctx)

	return slices.DeleteFunc(all, func(m store.Member) bool {
		return m.ID == f.members.Self().ID || m.Leaving || dialable(m) == ""
	})
}

// replacement returns the id of another server, which can serve a node as long as this one cannot. It prefers one that
// is not among those to avoid.
func (f *front) replacement(ctx context.Context, avoid []string) (id string, err error) {
	for _, m := range f.others(ctx) {
		if id = m.ID; !slices.Contains(avoid, id) {
			break
		}
	}
	if id == "" {
		return "", errCutOff
	}

	return id, nil
}
