package lock

import (
	"context"
	"errors"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
)

// Elect campaigns for leadership and calls lead while this process leads. The leader is the holder of the lock, as with
// [Do]. When the leadership is lost, Elect cancels the context of lead, waits for lead to return, ignores its result,
// and campaigns again. So lead may run several times, but never concurrently, and its last run held the lock from
// beginning to end.
//
// If lead returns while it still leads, Elect returns what lead returned, also if ctx has ended. Otherwise, when ctx
// ends, Elect returns its cause ([context.Cause]). It retries or returns errors as Do does.
//
// The observer ([WithObserver]) learns from [Leader] events who leads, also when lead has returned: a process that
// serves requests while it leads can stop doing so then. [WithData] sets what the others see of this
// process when it leads, such as its address. [Observe] is for processes that do not campaign.
func Elect(
	ctx context.Context, client coordination.Client, node, name string,
	lead func(ctx context.Context, held *Held) error, opts ...Option,
) error {
	l := newLocker(client, node, name, opts)
	if lead == nil {
		return l.wrong(errNoWork)
	}
	if l.wait >= 0 {
		return l.wrong(errors.New("Elect does not limit the wait: leave out WithWait, or end the context"))
	}
	if err := l.prepare(ctx); err != nil {
		return err
	}
	l.electing = true
	var result error
	err := l.opener.Repeat(ctx, func() error {
		l.since = l.clock.Now()
		held, err := l.once(ctx)
		if err != nil {
			return err
		}
		r, lost := held.do(ctx, lead)
		if lost != nil {
			return lost
		}
		result = r

		return nil
	}, l.retry)
	if err != nil {
		return err
	}

	return result
}
