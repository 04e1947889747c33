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

// DescribeSemaphore returns the state of a semaphore. It returns an error if the description is larger than 64 MiB.
//
// With [options.WithSemaphoreWatch] it also sets a watch on the semaphore. The handler is called once, in its own
// goroutine: when the data or the owners change, if the watch includes them, or with Lost set when the watch is lost. A
// watch is lost when the stream or the session ends, or when the same session sets a newer watch on the semaphore.
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

// watched returns the handler of a watch. It clears the flags of changes that the watch does not include, because the
// server's flags describe the event, whatever the watch includes (S6).
func watched(o options.DescribeSemaphoreConfig) func(options.SemaphoreWatchEvent) {
	return func(e options.SemaphoreWatchEvent) {
		e.DataChanged = e.DataChanged && o.WatchData
		e.OwnersChanged = e.OwnersChanged && o.WatchOwners
		o.OneShotHandler(e)
	}
}

// resubscribe is how long WatchSemaphore waits after it has lost its watch. A session has only one watch on each
// semaphore (S5), so two WatchSemaphore loops on the same semaphore replace each other's watch. The pause limits how
// often they do so.
const resubscribe = 100 * time.Millisecond

// WatchSemaphore returns an iterator over the states of a semaphore. It yields the current state, with owners and
// waiters, and then the new state each time the data or the owners change. If changes come faster than the caller
// consumes them, it skips states, but never the latest one. It may yield the same state more than once.
//
// The last pair holds an error instead of a state. If the semaphore does not exist, or no longer exists, that is a
// [*StatusError] with the status NOT_FOUND. Otherwise it is the error of ctx or of the session.
func (s *Session) WatchSemaphore(
	ctx context.Context, name string,
) iter.Seq2[*coordination.SemaphoreDescription, error] {
	return func(yield func(*coordination.SemaphoreDescription, error) bool) {
		for {
			events := make(chan options.SemaphoreWatchEvent, 1) // the handler sends at most one event
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
			case <-ctx.Done(): // the next describe returns the error
			}
		}
	}
}

// pause waits for the duration, or until ctx or the session ends.
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
