package logstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/store"
)

// prepare creates spare segments until ctx ends, so that a commit never has to. If that fails, the newest segment grows
// meanwhile.
func (s *Store) prepare(ctx context.Context) {
	s.background(ctx, s.preparing, func(err error) {
		s.opts.Logger.WarnContext(ctx, "cannot create the next file of the log", "directory", s.dir, "error", err)
	}, func() error {
		s.mu.Lock()
		number := s.segments[len(s.segments)-1].number + 1
		needed := s.spare == nil && s.failure == nil
		s.mu.Unlock()
		if !needed {
			return nil
		}
		seg, err := s.createSegment(ctx, number, s.opts.LogSize)
		s.noteSpace(err)
		if err != nil {
			return s.fault("create", segmentKind.name(number), err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.spare = seg

		return nil
	})
}

// pieceSize is how much of a segment or a snapshot is written before it is synced, and how much of it is given back at
// once. A large sync would delay those of commits.
const pieceSize = 256 << 10

// createSegment creates an empty segment, which is durable.
func (s *Store) createSegment(ctx context.Context, number uint64, size int64) (*segment, error) {
	name, salt := segmentKind.name(number), s.opts.salt()
	f, err := s.disk.Create(name + newSuffix)
	if err != nil {
		return nil, err
	}
	content := make([]byte, min(pieceSize, size))
	copy(content, segmentKind.header(number, salt))
	for at := int64(0); at < size && err == nil; at += pieceSize {
		if _, err = f.WriteAt(content[:min(pieceSize, size-at)], at); err == nil {
			err = cmp.Or(f.Sync(), ctx.Err())
		}
		clear(content[:headerSize])
	}
	if err = install(s.disk, f, name, err); err != nil {
		return nil, err
	}

	return newSegment(number, salt, share(f, name), size), nil
}

// install gives a new file its final name, which is durable then, unless err says that the file could not be written.
// After an error, the file is gone.
func install(d disk, f file, name string, err error) error {
	if err == nil {
		err = d.Rename(name+newSuffix, name)
	}
	if err == nil {
		err = d.Sync()
	}
	if err != nil {
		_ = f.Close()
		_ = d.Remove(name + newSuffix) // it takes space on a disk that may be full
	}

	return err
}

// tidy merges old segments into a new snapshot, and removes them, until ctx ends.
func (s *Store) tidy(ctx context.Context) {
	s.background(ctx, s.tidying, func(err error) {
		s.opts.Logger.WarnContext(ctx, "cannot merge old files of the log", "directory", s.dir, "error", err)
	}, func() error {
		base, old := s.old()
		if len(old) == 0 {
			return nil
		}
		next, err := s.merge(ctx, base, old)
		if err != nil {
			return err
		}
		s.replace(ctx, next, base, old)
		s.opts.Logger.DebugContext(ctx, "merged old files of the log", "directory", s.dir, "segments", len(old),
			"size", next.size)

		return nil
	})
}

// background calls do whenever wake has an element, and after a pause if do has failed, until ctx ends. It logs the
// first of several errors.
func (s *Store) background(ctx context.Context, wake <-chan struct{}, failed func(error), do func() error) {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = 100*time.Millisecond, 10*time.Second
	for clk, wait := clock.Go(), time.Duration(0); ctx.Err() == nil; {
		if wait == 0 {
			select {
			case <-wake:
			case <-ctx.Done():
				return
			}
		} else if !clock.Pause(ctx, clk, wait) {
			return
		}
		err := do()
		if err == nil || ctx.Err() != nil {
			wait = 0
			pauses.Reset()

			continue
		}
		if wait == 0 {
			failed(err)
		}
		wait = pauses.NextBackOff()
	}
}

// old returns the snapshot, and the segments that are to be merged with it: all but the newest one, or none if that is
// not worth while.
func (s *Store) old() (base *snapshot, old []*segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return nil, nil
	}
	sealed := s.segments[:len(s.segments)-1]
	if !s.worthMerging(sealed) {
		return nil, nil
	}

	return s.base, slices.Clone(sealed)
}

// worthMerging reports whether the segments are large enough, compared with the snapshot, which a merge has to copy.
// The caller must hold s.mu.
func (s *Store) worthMerging(sealed []*segment) bool {
	var size int64
	for _, seg := range sealed {
		size += seg.end
	}

	return size > 0 && (s.base == nil || size >= s.base.size/2)
}

// merge writes a snapshot of everything in base and the old segments. These files do not change, and only this
// goroutine releases them.
func (s *Store) merge(ctx context.Context, base *snapshot, old []*segment) (_ *snapshot, err error) {
	last := old[len(old)-1].number
	pace := newPacer(func() bool { return s.behind(last) })
	spaces, commits, err := s.foldAll(ctx, old, pace)
	if err != nil {
		return nil, err
	}
	name := snapshotKind.name(last)
	f, err := s.disk.Create(name + newSuffix)
	if err != nil {
		return nil, s.fault("create", name+newSuffix, err)
	}
	var next *snapshot
	err = s.writeSnapshot(ctx, f, last, commits, base, spaces, pace)
	if err == nil {
		next, err = readSnapshot(last, share(f, name))
	}
	if err = install(s.disk, f, name, err); err != nil {
		return nil, s.fault("write", name, err)
	}

	return next, nil
}

// behind reports whether the log has grown so much that the next merge is due, since one began whose newest segment has
// the number. Then the merge must not rest, because the log could grow faster than merges shrink it. On a disk that is
// nearly full, it must not rest either.
func (s *Store) behind(merging uint64) bool {
	full := s.Full()
	s.mu.Lock()
	defer s.mu.Unlock()
	added := s.segments[:len(s.segments)-1]
	for len(added) > 0 && added[0].number <= merging {
		added = added[1:]
	}

	return len(added) > mostBehind && (full || s.worthMerging(added))
}

// mostBehind is the number of segments that may always be added to the log during a merge before it stops resting.
const mostBehind = 2

// folded is the outcome of all frames of a space in several segments.
type folded struct {
	dropped bool // records in the snapshot do not count
	fold    fold
}

// foldAll returns the outcome of all frames in the segments, and the number of the last one.
func (s *Store) foldAll(
	ctx context.Context, old []*segment, pace *pacer,
) (spaces map[store.Space]*folded, last uint64, err error) {
	spaces = make(map[store.Space]*folded)
	rest := func(size int) { pace.done(ctx, size) }
	for _, seg := range old {
		r := frameReader{file: seg.file, size: seg.end, salt: seg.salt}
		for at := int64(headerSize); at < seg.end; {
			f, size, ok, err := r.frame(at)
			if err == nil && !ok {
				err = errBroken
			}
			if err == nil {
				err = ctx.Err()
			}
			if err == nil {
				err = foldFrame(spaces, f, rest)
			}
			if err != nil {
				return nil, 0, s.mergeError(seg.file, err)
			}
			last = f.number
			at += int64(size)
			pace.done(ctx, size)
		}
	}

	return spaces, last, nil
}

// foldFrame adds a frame to the outcome. Long work calls rest.
func foldFrame(spaces map[store.Space]*folded, f frame, rest func(size int)) error {
	space, drop, changes, err := decodeHead(f.payload)
	if err != nil {
		return err
	}
	for _, d := range drop {
		spaces[d] = &folded{dropped: true, fold: fold{rest: rest}}
	}
	to := spaces[space]
	if to == nil {
		to = &folded{fold: fold{rest: rest}}
		spaces[space] = to
	}

	return to.fold.apply(changes)
}

// writeSnapshot writes the records of base, changed by what the segments say.
func (s *Store) writeSnapshot(
	ctx context.Context, f file, number, commits uint64, base *snapshot, changed map[store.Space]*folded, pace *pacer,
) error {
	w, err := newSnapshotWriter(f, number)
	if err != nil {
		return err
	}
	all := slices.Collect(maps.Keys(changed))
	if base != nil {
		for _, sec := range base.sections {
			if changed[sec.space] == nil {
				all = append(all, sec.space)
			}
		}
	}
	slices.Sort(all)
	for _, space := range all {
		from, changes := base.section(space), new(latest)
		if c := changed[space]; c != nil {
			changes = c.fold.latest()
			if c.dropped {
				from = section{}
			}
		}
		var failed error
		err := base.merged(from, changes, func(r node.Record) bool {
			if failed = w.add(r); failed == nil {
				pace.done(ctx, len(r.Key)+len(r.Value))
				failed = ctx.Err()
			}

			return failed == nil
		})
		if err != nil {
			return s.mergeError(base.file, err)
		}
		if failed == nil {
			failed = w.end(space)
		}
		if failed != nil {
			return failed
		}
	}

	return w.finish(commits)
}

// mergeError returns the error of a merge that could not read the file. Damage stops the store.
func (s *Store) mergeError(f *sharedFile, err error) error {
	if !isDamage(err) {
		return s.fault("read", f.name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.stop(s.damage(f.name, err))
}

// replace makes the store use the snapshot instead of the files from which it was made, and removes these.
func (s *Store) replace(ctx context.Context, next, base *snapshot, old []*segment) {
	var files []*sharedFile
	for _, seg := range old {
		files = append(files, seg.file)
	}
	if base != nil {
		files = append(files, base.file)
	}
	for _, f := range files {
		f.obsolete = func() { s.remove(f.name) }
	}
	s.mu.Lock()
	s.base, s.segments = next, slices.Clone(s.segments[len(old):])
	s.mu.Unlock()
	pace := newPacer(func() bool { return s.behind(next.number) })
	for _, f := range files {
		if f.sole() {
			s.shrink(ctx, f, pace)
		}
		f.release()
	}
}

// discard removes files that an earlier process has left.
func (s *Store) discard(leftovers []string) {
	for _, name := range leftovers {
		s.remove(name)
	}
}

// remove removes a file that is not needed. If that fails, it stays until the store is opened again.
func (s *Store) remove(name string) {
	if err := s.disk.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.opts.Logger.DebugContext(context.Background(), "cannot remove a file of the log",
			"error", fmt.Errorf("remove %q: %w", name, bare(err)))
	}
}
