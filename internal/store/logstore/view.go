package logstore

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"tenure/internal/node"
	"tenure/internal/store"
)

// Snapshot implements store.Store. Unlike Load, it does not stop the store if it finds damage: nodes that are in memory
// can still be used. It holds s.mu only while it notes where the records are. It needs memory for the changes of one
// space that are not merged yet. Files that a merge replaces meanwhile are removed when the loop ends.
func (s *Store) Snapshot(ctx context.Context) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		if err := s.snapshot(ctx, func(r store.Record) bool { return yield(r, nil) }); err != nil {
			yield(store.Record{}, err)
		}
	}
}

// snapshot yields all records. It returns nil if it has yielded all of them or yield has returned false.
func (s *Store) snapshot(ctx context.Context, yield func(store.Record) bool) error {
	v, err := s.view()
	if err != nil {
		return err
	}
	defer s.calls.Done()
	defer v.release()
	stopped := false
	for _, space := range v.spaces() {
		unreadable, err := v.sources(space).read(ctx, space, func(r node.Record) bool {
			stopped = !yield(store.Record{Space: space, Record: r})

			return !stopped
		})
		switch {
		case stopped:
			return nil
		case unreadable != nil && isDamage(err):
			return fmt.Errorf("store %q: copy space %d: %w: stop the server and check the disk", s.dir, space,
				s.damage(unreadable.name, err))
		case unreadable != nil && ctx.Err() == nil:
			return fmt.Errorf("store %q: copy space %d: %w", s.dir, space, s.fault("read", unreadable.name, err))
		case err != nil:
			return err
		}
	}

	return ctx.Err()
}

// view is what a store consists of at one instant.
type view struct {
	base     *snapshot
	segments []*segment // copies, ascending; only one goroutine uses them
}

// view starts a call, and returns the view of this moment. The caller must release it, and end the call.
func (s *Store) view() (v view, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusal != nil {
		return v, s.refusal
	}
	s.calls.Add(1)
	v.base = s.base
	for i, seg := range s.segments {
		seen := *seg
		if i == len(s.segments)-1 { // no other segment gets frames
			seen.frames = maps.Clone(seg.frames)
		}
		seen.file.use()
		v.segments = append(v.segments, &seen)
	}
	if v.base != nil {
		v.base.file.use()
	}

	return v, nil
}

func (v view) release() {
	for _, seg := range v.segments {
		seg.file.release()
	}
	if v.base != nil {
		v.base.file.release()
	}
}

// spaces returns the spaces that may have records, in ascending order.
func (v view) spaces() []store.Space {
	all := make(map[store.Space]struct{})
	if v.base != nil {
		for _, sec := range v.base.sections {
			all[sec.space] = struct{}{}
		}
	}
	for _, seg := range v.segments {
		for space := range seg.frames {
			all[space] = struct{}{}
		}
	}

	return slices.Sorted(maps.Keys(all))
}

// sources returns the sources of the records of a space. They can be used until the view is released.
func (v view) sources(space store.Space) (from sources) {
	dropped := false
	for i := len(v.segments) - 1; i >= 0 && !dropped; i-- {
		dropped = from.add(v.segments[i], v.segments[i].frames[space])
	}
	from.finish(v.base, space, dropped)

	return from
}
