package lock_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"tenure/internal/coordtest"
)

// Lockers start and stop, sessions break, work returns and messages are delayed, in random order. At most one locker
// works at any time. After everything has settled, exactly one works if there are any lockers.
func TestElect_AnySchedule(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			s := newSchedule(rt)
			defer s.close(rt)
			rt.Repeat(map[string]func(*rapid.T){
				"enter": s.enter,
				"leave": s.leave,
				"break": func(rt *rapid.T) { s.service.Break(s.draw(rt).session(), errors.New("unplugged")) },
				"return": func(rt *rapid.T) {
					select {
					case s.returns <- struct{}{}:
					default:
						rt.Skip("no locker works")
					}
				},
				"wait": func(rt *rapid.T) {
					time.Sleep(time.Duration(rapid.IntRange(0, 4000).Draw(rt, "µs")) * time.Microsecond)
				},
				"settle": s.settle,
				"":       func(rt *rapid.T) { require.LessOrEqual(rt, s.most.Load(), int32(1)) },
			})
		})
	})
}

// A schedule is a service and the lockers that use it.
type schedule struct {
	service *coordtest.Service
	lockers []*runner
	returns chan struct{} // each value makes work return
	working atomic.Int32  // the number of lockers that work now
	most    atomic.Int32  // the highest value of working so far
}

func newSchedule(rt *rapid.T) *schedule {
	s := &schedule{service: coordtest.NewService(), returns: make(chan struct{})}
	s.service.Late = rapid.Bool().Draw(rt, "late")
	delays := rapid.SliceOfN(rapid.IntRange(1, 3000), 1, 20).Draw(rt, "delays")
	sent := 0
	s.service.SetDelay(func() time.Duration {
		sent++

		return time.Duration(delays[sent%len(delays)]) * time.Microsecond
	})

	return s
}

func (s *schedule) enter(rt *rapid.T) {
	if len(s.lockers) == 4 {
		rt.Skip("there are enough lockers")
	}
	r := &runner{}
	r.run(context.WithoutCancel(rt.Context()), s.service, func(ctx context.Context) error {
		s.most.Store(max(s.most.Load(), s.working.Add(1)))
		defer s.working.Add(-1)
		select {
		case <-ctx.Done():
		case <-s.returns:
		}

		return nil
	})
	s.lockers = append(s.lockers, r)
}

func (s *schedule) leave(rt *rapid.T) {
	r := s.draw(rt)
	r.stop(errStopped)
	if rapid.Bool().Draw(rt, "wait for it") {
		r.done <- <-r.done // put back for settle
	}
}

func (s *schedule) draw(rt *rapid.T) *runner {
	if len(s.lockers) == 0 {
		rt.Skip("there are no lockers")
	}

	return s.lockers[rapid.IntRange(0, len(s.lockers)-1).Draw(rt, "locker")]
}

// settle waits until dead sessions have timed out, and checks how many lockers work.
func (s *schedule) settle(rt *rapid.T) {
	time.Sleep(2 * timeout)
	synctest.Wait()
	var left []*runner
	for _, r := range s.lockers {
		if len(r.done) == 0 {
			left = append(left, r)
		}
	}
	s.lockers = left
	require.EqualValues(rt, min(1, len(left)), s.working.Load())
	require.Len(rt, s.service.Sessions(), len(left))
}

func (s *schedule) close(rt *rapid.T) {
	for _, r := range s.lockers {
		r.stop(errStopped)
	}
	s.settle(rt)
	require.Empty(rt, s.lockers)
}
