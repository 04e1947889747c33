package logstore

import (
	"context"
	"fmt"
	"slices"

	"tenure/internal/store"
)

// group is a number of commits that are written and synced together. One of the goroutines that commit, the leader,
// does this for all of them. Commits that arrive meanwhile form the next group.
type group struct {
	frames []byte
	parts  []part
	first  uint64 // number of the first commit
	large  int    // bytes of its large batches

	// The following fields are nil while no goroutine waits for the group.

	lead chan struct{} // has an element when one of the goroutines that wait shall become the leader
	done chan struct{} // closed when err is final
	err  error
}

// All batches of at most smallBatch bytes enter the next group. Larger ones wait while the group that is being written
// and the next one have more than maxLarge bytes of large batches with them, unless they have none. So a small batch
// waits for at most maxLarge bytes of the large batches of others, or for one large batch, however many nodes have
// large data to commit.
const (
	maxLarge   = 512 << 10
	smallBatch = 64 << 10
)

// full reports whether a large batch of this size must wait. The caller must hold s.mu.
func (s *Store) full(size int) bool {
	held := s.flying + s.pending.large

	return s.writing && held > 0 && held+size > maxLarge
}

// part is one commit of a group.
type part struct {
	at    int // where its frame begins
	space store.Space
	drop  []store.Space
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, b store.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := b.Check(); err != nil {
		return err
	}
	size := batchSize(b)
	if size > maxPayload {
		return fmt.Errorf("store %q: commit to space %d: the batch has %d bytes, and the limit is %d",
			s.dir, b.Space, size, maxPayload)
	}
	s.mu.Lock()
	if err := s.refusal; err != nil {
		s.mu.Unlock()

		return err
	}
	if len(b.Changes)+len(b.Drop) == 0 {
		s.mu.Unlock()

		return nil
	}
	s.calls.Add(1)
	defer s.calls.Done()
	if size > smallBatch {
		s.awaitRoom(size)
	}
	g := s.pending
	s.enter(g, b, size)
	if s.writing {
		if g.done == nil {
			g.lead, g.done = make(chan struct{}, 1), make(chan struct{})
		}
		s.mu.Unlock()
		select {
		case <-g.done:
			return g.err
		case <-g.lead:
			s.mu.Lock()
		}
	}

	return s.lead(g)
}

// awaitRoom waits until a large batch may enter the pending group. Large batches enter in the order in which they have
// arrived. The caller must hold s.mu.
func (s *Store) awaitRoom(size int) {
	place := s.arrived
	s.arrived++
	for place != s.entered || s.full(size) {
		s.room.Wait()
	}
	s.entered++
	s.room.Broadcast()
}

// enter adds a commit to the group. Size is that of its batch. The caller must hold s.mu.
func (s *Store) enter(g *group, b store.Batch, size int) {
	s.commits++
	if size > smallBatch {
		g.large += size
		g.frames = slices.Grow(g.frames, frameHeader+size+frameAlign)
	}
	if len(g.parts) == 0 {
		g.first = s.commits
	}
	g.parts = append(g.parts, part{len(g.frames), b.Space, b.Drop})
	g.frames = appendFrame(g.frames, s.commits, g.first-1, func(buf []byte) []byte { return appendBatch(buf, b) })
}

// lead writes and syncs the pending group, and then appoints the leader of the next one. The caller must hold s.mu,
// which lead unlocks.
func (s *Store) lead(g *group) error {
	s.writing, s.flying, s.pending = true, g.large, s.nextGroup()
	s.room.Broadcast()
	err := s.failure
	if err == nil {
		seg := s.segmentFor(int64(len(g.frames)))
		at := seg.end
		s.mu.Unlock()
		err = s.write(seg, g, at)
		s.mu.Lock()
		if err == nil {
			s.publish(seg, g, at)
		} else {
			err = s.stop(err)
		}
	}
	switch next := s.pending; {
	case len(next.parts) == 0:
		s.writing = false
		s.room.Broadcast()
	default:
		next.lead <- struct{}{}
	}
	if g.done != nil {
		g.err = err
		close(g.done)
	}
	s.recycle(g)
	s.mu.Unlock()

	return err
}

// write makes the frames of the group durable.
func (s *Store) write(seg *segment, g *group, at int64) error {
	if at+int64(len(g.frames)) > maxSegment {
		return s.fault("write", seg.file.name, errSegmentFull)
	}
	seal(g.frames, seg.salt)
	if _, err := seg.file.WriteAt(g.frames, at); err != nil {
		return s.fault("write", seg.file.name, err)
	}
	if err := seg.file.Sync(); err != nil {
		return s.fault("sync", seg.file.name, err)
	}
	if err := s.ledger.write(g.first + uint64(len(g.parts)) - 1); err != nil {
		return s.fault("write", ledgerName, err)
	}

	return s.inPlace()
}

// publish makes the commits of the group visible for Load. The caller must hold s.mu.
func (s *Store) publish(seg *segment, g *group, at int64) {
	for _, p := range g.parts {
		seg.add(at+int64(p.at), p.space, p.drop)
	}
	seg.end = at + int64(len(g.frames))
	seg.size = max(seg.size, seg.end)
}

// segmentFor returns the segment to which frames of this size are written: the newest one, or the spare one if there is
// not enough space in the newest one. Without a spare segment, the newest one grows. The caller must hold s.mu.
func (s *Store) segmentFor(size int64) *segment {
	newest := s.segments[len(s.segments)-1]
	if newest.end+size <= newest.size {
		return newest
	}
	if s.spare != nil && newest.end > headerSize {
		newest, s.spare = s.spare, nil
		s.segments = append(s.segments, newest)
		wake(s.tidying)
	}
	wake(s.preparing)

	return newest
}

// maxBuffer limits the memory that a store keeps for the frames of its next group. It is enough for the largest data of
// a semaphore, and some small batches.
const maxBuffer = 5 << 18

// nextGroup returns an empty group. The caller must hold s.mu.
func (s *Store) nextGroup() *group {
	if g := s.idle; g != nil {
		s.idle = nil

		return g
	}

	return new(group)
}

// recycle keeps the memory of a finished group for another one. The caller must hold s.mu.
func (s *Store) recycle(g *group) {
	if cap(g.frames) > maxBuffer {
		return
	}
	clear(g.parts)
	if s.idle = g; g.done != nil { // others still read its error
		s.idle = new(group)
	}
	s.idle.frames, s.idle.parts, s.idle.large = g.frames[:0], g.parts[:0], 0
}

// wake wakes the goroutine that receives from the channel, which has a buffer of one element.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
