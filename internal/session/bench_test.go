package session_test

import (
	"fmt"
	"testing"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"

	"tenure/internal/clock"
	"tenure/internal/session"
)

// BenchmarkAcquireRelease acquires and releases one semaphore while other acquires wait, either each for its own
// semaphore or all for the same other one. The cost must not grow with the number of waiting acquires.
func BenchmarkAcquireRelease(b *testing.B) {
	for _, waiting := range []int{1, 1_000, 100_000} {
		for _, semaphores := range []string{"many", "one"} {
			b.Run(fmt.Sprintf("waiting=%d/semaphores=%s", waiting, semaphores), func(b *testing.B) {
				cfg := defaults()
				c := session.New(cfg)
				var fx session.Effects
				c.Start(began, &fx)
				c.Received(began, 1, startedMessage(7), &fx)
				for i := range waiting {
					name := "other"
					if semaphores == "many" {
						name = fmt.Sprint("other ", i)
					}
					c.Begin(began, session.NewAcquire(&pb.SessionRequest_AcquireSemaphore{Name: name, Count: 1}), &fx)
				}
				b.ReportAllocs()
				for b.Loop() {
					acquireAndRelease(b, c, began)
				}
			})
		}
	}
}

func acquireAndRelease(b *testing.B, c *session.Core, now clock.Instant) {
	b.Helper()
	var fx session.Effects
	a := &pb.SessionRequest_AcquireSemaphore{Name: "lock", Count: 1}
	c.Begin(now, session.NewAcquire(a), &fx)
	fx.Actions = fx.Actions[:0]
	c.Received(now, 1, acquiredMessage(a.GetReqId(), Ydb.StatusIds_SUCCESS, true), &fx)
	c.Begin(now, session.NewRelease(fx.Actions[0].(*session.Finished).Lease), &fx)
	c.Received(now, 1, releasedMessage(a.GetReqId()+1, Ydb.StatusIds_SUCCESS), &fx)
	if done, ok := fx.Actions[len(fx.Actions)-1].(*session.Finished); !ok || done.Err != nil {
		b.Fatalf("not released: %v", fx.Actions)
	}
}
