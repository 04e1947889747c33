package page

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"tenure/internal/clock"
	"tenure/internal/serverstats"
	"tenure/server"
)

// statusLimit is the time in which all nodes must show their state. A node that waits for its disk does not.
const statusLimit = 3 * time.Second

// snapshot is what all views are made of. It does not change.
type snapshot struct {
	at         time.Time
	health     health
	status     server.Status
	statusAt   time.Time // when the status was read; zero: never
	statusErr  error     // why it could not be read at the time of the snapshot
	semaphores int

	sorting sync.Once
	sorted  []entry // see entries
}

// health answers whether the server is well.
type health struct {
	live, ready  error
	commits      uint64
	commitP99    time.Duration
	recent       bool // of the last minute; otherwise since the server has started
	sessions     int
	detached     int
	streams      int
	auditDropped uint64
}

// source takes snapshots, one at a time.
type source struct {
	c       Config
	samples []sample // of the commits, the oldest first
}

// sample is the histogram of the commits at some time.
type sample struct {
	at      clock.Instant
	commits serverstats.Histogram
}

// take returns a snapshot. If a node does not answer in time, it has the status of the last snapshot, which may be nil.
func (s *source) take(ctx context.Context, last *snapshot) *snapshot {
	stats := s.c.Stats(ctx)
	limited, cancel := context.WithTimeout(ctx, statusLimit)
	defer cancel()
	status, err := s.c.Status(limited)
	now := s.c.Clock.Now()
	at := s.c.Clock.Time(now).UTC()
	shot := &snapshot{at: at, health: s.health(now, stats)}
	switch {
	case err == nil:
		shot.status, shot.statusAt = status, at
	case last != nil:
		shot.status, shot.statusAt, shot.statusErr = last.status, last.statusAt, err
	default:
		shot.statusErr = err
	}
	sessions := 0
	for _, n := range shot.status.Nodes {
		shot.semaphores += len(n.Semaphores)
		sessions += n.Sessions
	}
	if err == nil {
		shot.health.sessions = sessions
	}

	return shot
}

func (s *source) health(now clock.Instant, stats *serverstats.Server) health {
	h := health{live: s.c.Live(), ready: s.c.Ready(), streams: stats.Streams, auditDropped: stats.AuditDropped}
	var commits serverstats.Histogram
	for i := range stats.Nodes {
		n := &stats.Nodes[i]
		h.sessions += n.Sizes.Sessions
		h.detached += n.Sizes.Sessions - n.Sizes.Attached
		commits.Add(&n.Commits)
	}
	recent, known := s.window(now, commits)
	h.recent = known
	h.commits = recent.Count
	h.commitP99 = time.Duration(recent.Quantile(0.99) * float64(time.Second))

	return h
}

const (
	windowLength = time.Minute
	sampleEvery  = 10 * time.Second
)

// window returns the commits of about the last minute, or all if it is not known which those are.
func (s *source) window(now clock.Instant, commits serverstats.Histogram) (recent *serverstats.Histogram, known bool) {
	s.samples = slices.DeleteFunc(s.samples, func(o sample) bool { return now.Sub(o.at) > windowLength+sampleEvery })
	recent = &commits
	if len(s.samples) > 0 && now.Sub(s.samples[0].at) >= windowLength-sampleEvery {
		recent, known = commits.Since(&s.samples[0].commits), true
	}
	if n := len(s.samples); n == 0 || now.Sub(s.samples[n-1].at) >= sampleEvery {
		s.samples = append(s.samples, sample{now, commits})
	}

	return recent, known
}

// entry is a semaphore in the list.
type entry struct {
	node string
	*server.SemaphoreStatus
}

// entries returns all semaphores: first those with waiters, the longest wait first, then those that are held, those of
// clients that are gone first, then the free ones.
func (s *snapshot) entries() []entry {
	s.sorting.Do(func() {
		s.sorted = make([]entry, 0, s.semaphores)
		for _, n := range s.status.Nodes {
			for i := range n.Semaphores {
				s.sorted = append(s.sorted, entry{n.Path, &n.Semaphores[i]})
			}
		}
		slices.SortFunc(s.sorted, compare)
	})

	return s.sorted
}

func compare(a, b entry) int {
	since := func(h *server.HolderStatus) int64 { // 0: before everything that is known
		if h == nil || cmpTime(h).IsZero() {
			return 0
		}

		return cmpTime(h).UnixMilli()
	}

	return cmp.Or(
		cmp.Compare(a.class(), b.class()),
		cmp.Compare(since(a.first()), since(b.first())),
		cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.node, b.node),
	)
}

func cmpTime(h *server.HolderStatus) time.Time {
	if h.Since.IsZero() {
		return h.SinceBefore
	}

	return h.Since
}

// class is the first criterion of the order.
func (e entry) class() int {
	switch {
	case len(e.Waiters) > 0:
		return 0
	case slices.ContainsFunc(e.Owners, func(h server.HolderStatus) bool { return !h.Attached }):
		return 1
	case len(e.Owners) > 0:
		return 2
	}

	return 3
}

// first returns the first waiter, or else the first owner, or nil.
func (e entry) first() *server.HolderStatus {
	switch {
	case len(e.Waiters) > 0:
		return &e.Waiters[0]
	case len(e.Owners) > 0:
		return &e.Owners[0]
	}

	return nil
}
