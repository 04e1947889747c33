package lockcmd

import (
	"context"
	"os"
	"sync"
	"time"

	"tenure/internal/clock"
	"tenure/internal/identity"
	"tenure/lock"
)

// A follower keeps what others see of the lock up to date while it is held: the data, with the time of the grant; the
// state file; the metrics.
type follower struct {
	*locker

	held    *lock.Held
	granted time.Time
	stopped context.CancelFunc // ends renewals
	renewed sync.WaitGroup

	stopData context.CancelFunc // ends the update of the data
	data     sync.WaitGroup
}

// follow starts a follower. The caller must call stop before it releases the lock.
func (l *locker) follow(held *lock.Held) *follower {
	f := &follower{locker: l, held: held, granted: now(l.clock)}
	var ctx, data context.Context
	ctx, f.stopped = context.WithCancel(held.Context())
	data, f.stopData = context.WithCancel(ctx)
	f.note() // before COMMAND can look at the state file
	f.renewed.Go(func() { f.renewals(ctx) })
	f.data.Go(func() {
		// Most locks are held for less than a moment. Nobody needs to know the time of their grant.
		if clock.Pause(data, l.clock, moment) {
			f.show(data, time.Time{})
		}
	})

	return f
}

// renewals notes each new deadline until ctx ends.
func (f *follower) renewals(ctx context.Context) {
	for {
		renewed := f.held.Renewed() // before the deadline, so that no renewal is missed
		f.note()
		select {
		case <-renewed:
		case <-ctx.Done():
			return
		}
	}
}

// done shows to others that the work is done, and that the lock is kept until the given time.
func (f *follower) done(ctx context.Context, until time.Time) {
	f.stopData()
	f.data.Wait()
	f.show(ctx, until)
}

// show replaces the data. If that fails, others see the old data. The text of --data is never changed.
func (f *follower) show(ctx context.Context, until time.Time) {
	if f.locker.data == "" {
		card := identity.Card{Who: f.card().Who, Since: f.granted, Until: until}
		_ = f.held.SetData(ctx, []byte(card.String()))
	}
}

// stop ends the follower. When it has returned, the state file is gone.
func (f *follower) stop() {
	f.stopped()
	f.data.Wait()
	f.renewed.Wait()
	if err := f.stateFile.remove(); err != nil {
		f.complain(err)
	}
}

// note notes the deadline in the metrics and in the state file. The first failure is reported.
func (f *follower) note() {
	deadline := f.held.Deadline()
	f.metered.renewed(deadline)
	if deadline.IsZero() {
		return
	}
	err := f.stateFile.write(state{Tokens: f.held.Tokens(), Deadline: deadline.UTC(), PID: os.Getpid()})
	if err != nil && !f.stateFailed {
		f.stateFailed = true
		f.complain(err)
	}
}
