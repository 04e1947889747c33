package tenure

import (
	"context"
	"iter"
	"math"
	"time"

	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/internal/clock"
	"tenure/internal/session"
)

// DescribeSemaphore returns the state of a semaphore (S4), and may watch it: the handler is called once, on a goroutine
// of its own, when what is watched has changed, or with Lost when the stream or the session has gone or a newer watch
// of the session has taken its place (S5, S6). A description of more than 64 MiB is an error.
func (s *Session) DescribeSemaphore(
	ctx context.Context, name string, opts ...options.DescribeSemaphoreOption,
) (*coordination.SemaphoreDescription, error) {
	var o options.DescribeSemaphoreConfig
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	c := session.NewDescribe(&pb.SessionRequest_DescribeSemaphore{
		Name: name, IncludeOwners: o.IncludeOwners, IncludeWaiters: o.IncludeWaiters,
		WatchData: o.WatchData, WatchOwners: o.WatchOwners,
	})
	if o.OneShotHandler != nil {
		c.Watch = &session.Watch{Owner: watched(o)}
	}
	f, err := s.call(ctx, "describe semaphore", name, c)
	if err != nil {
		return nil, err
	}

	return description(f.Description), nil
}

// watched returns the handler of a watch, which hears only of what is watched: the server's flags tell the event (S6).
func watched(o options.DescribeSemaphoreConfig) func(options.SemaphoreWatchEvent) {
	return func(e options.SemaphoreWatchEvent) {
		e.DataChanged = e.DataChanged && o.WatchData
		e.OwnersChanged = e.OwnersChanged && o.WatchOwners
		o.OneShotHandler(e)
	}
}

// resubscribe is how long WatchSemaphore waits after a watch was lost. Two of them on one semaphore in one session take
// the only watch from each other (S5); so they don't do that more often.
const resubscribe = 100 * time.Millisecond

// WatchSemaphore yields the state of a semaphore, with owners and waiters, now and each time its data or owners have
// changed. Changes that come faster than they are taken are left out, never the last one. It may yield the same state
// twice. It ends with an error: of ctx, of the session, or NOT_FOUND when there is no such semaphore (any more).
func (s *Session) WatchSemaphore(
	ctx context.Context, name string,
) iter.Seq2[*coordination.SemaphoreDescription, error] {
	return func(yield func(*coordination.SemaphoreDescription, error) bool) {
		for {
			events := make(chan options.SemaphoreWatchEvent, 1) // gets one, from the handler
			d, err := s.DescribeSemaphore(ctx, name,
				options.WithDescribeOwners(true), options.WithDescribeWaiters(true),
				options.WithSemaphoreWatch(options.WatchData|options.WatchOwners,
					func(e options.SemaphoreWatchEvent) { events <- e }))
			if err != nil {
				yield(nil, err)

				return
			}
			if !yield(d, nil) {
				return
			}
			select {
			case e := <-events:
				if e.Lost {
					s.pause(ctx, resubscribe)
				}
			case <-ctx.Done(): // the next describe says it
			}
		}
	}
}

// pause returns after the duration, or when ctx or the session ends.
func (s *Session) pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	clock.Pause(ctx, s.client.clock, d)
}

func description(d *pb.SemaphoreDescription) *coordination.SemaphoreDescription {
	return &coordination.SemaphoreDescription{
		Name: d.GetName(), Limit: d.GetLimit(), Count: d.GetCount(), Ephemeral: d.GetEphemeral(), Data: d.GetData(),
		Owners: holders(d.GetOwners()), Waiters: holders(d.GetWaiters()),
	}
}

func holders(hs []*pb.SemaphoreSession) []*coordination.SemaphoreSession {
	out := make([]*coordination.SemaphoreSession, 0, len(hs))
	for _, h := range hs {
		timeout := time.Duration(math.MaxInt64)
		if ms := h.GetTimeoutMillis(); ms < uint64(timeout/time.Millisecond) {
			timeout = time.Duration(ms) * time.Millisecond
		}
		out = append(out, &coordination.SemaphoreSession{
			SessionID: h.GetSessionId(), Count: h.GetCount(), OrderID: h.GetOrderId(), Data: h.GetData(), Timeout: timeout,
		})
	}

	return out
}
