package logstore

import (
	"context"
	"errors"
	"syscall"
	"time"

	"tenure/internal/clock"
)

// spaceInterval is the shortest time between two looks at the free space of the disk.
const spaceInterval = time.Second

// Full reports whether the disk is nearly full, so that the space that is left should be kept for changes that need
// none in the end, such as deletions. The log needs space for its next segments, and a merge for a whole snapshot. Full
// looks at the disk once a second at most. On systems other than Linux it only knows whether the last attempt to create
// a segment has failed.
func (s *Store) Full() bool {
	now := s.space.clock.Now()
	last := clock.Instant(s.space.looked.Load())
	if last != 0 && now.Sub(last) < spaceInterval || !s.space.looked.CompareAndSwap(int64(last), int64(now)) {
		return s.space.low.Load()
	}
	free, err := s.disk.Free()
	low := s.space.failed.Load() || err == nil && free < s.reserve()
	if s.space.low.Swap(low) != low && low {
		s.opts.Logger.WarnContext(context.Background(), "the disk is nearly full: what would add data is refused",
			"directory", s.dir, "free", free, "needed", s.reserve())
	}

	return low
}

// reserve returns the free space below which the disk is nearly full, in bytes.
func (s *Store) reserve() int64 {
	const segments = 4
	s.mu.Lock()
	defer s.mu.Unlock()
	reserve := segments * s.opts.LogSize
	if s.base != nil {
		reserve += s.base.size
	}

	return reserve
}

// noteSpace records whether a segment could not be created for lack of space.
func (s *Store) noteSpace(err error) {
	s.space.failed.Store(errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT))
}
