package logstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"tenure/internal/node"
	"tenure/internal/store"
)

// Shared implements store.Store.
func (s *Store) Shared() bool { return false }

// Claim implements store.Store. Only this process can use the directory, so nobody else can claim anything.
func (s *Store) Claim(ctx context.Context, space store.Space) error {
	return cmp.Or(ctx.Err(), space.Check())
}

// Confirm implements store.Store.
func (s *Store) Confirm(context.Context, store.Space) error { return nil }

// Load implements store.Store.
func (s *Store) Load(ctx context.Context, space store.Space) iter.Seq2[node.Record, error] {
	return func(yield func(node.Record, error) bool) {
		if err := s.load(ctx, space, yield); err != nil {
			yield(node.Record{}, err)
		}
	}
}

// load yields the records of the space. It returns nil if it has yielded all of them or yield has returned false.
func (s *Store) load(ctx context.Context, space store.Space, yield func(node.Record, error) bool) error {
	if err := space.Check(); err != nil {
		return fmt.Errorf("store %q: load: %w", s.dir, err)
	}
	from, err := s.sources(space)
	if err != nil {
		return err
	}
	defer from.release()
	defer s.calls.Done()
	file, err := from.read(ctx, space, func(r node.Record) bool { return yield(r, nil) })
	if err != nil && file != nil {
		return s.loadError(space, file, err)
	}

	return err
}

// sources has everything that the records of a space follow from.
type sources struct {
	base    *snapshot
	section section // in base
	traces  []tracedFile
}

// tracedFile lists the frames in a segment that belong to a space.
type tracedFile struct {
	file *sharedFile
	size int64
	salt uint32 // of the segment
	at   []uint32
}

// sources starts a call, and returns the sources of the space. The caller must release it, and end the call.
func (s *Store) sources(space store.Space) (from sources, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusal != nil {
		return from, s.refusal
	}
	s.calls.Add(1)
	dropped := false
	for i := len(s.segments) - 1; i >= 0 && !dropped; i-- {
		dropped = from.add(s.segments[i], s.segments[i].frames[space])
	}
	from.finish(s.base, space, dropped)
	from.use()

	return from, nil
}

// add adds the trace of a space in a segment, which is older than those that were added before. It reports whether the
// segment drops the space, so that nothing older counts.
func (from *sources) add(seg *segment, t trace) (dropped bool) {
	if len(t.at) > 0 {
		from.traces = append(from.traces, tracedFile{seg.file, seg.end, seg.salt, t.at})
	}

	return t.dropped
}

// finish adds the section of the space in base, unless the space was dropped since.
func (from *sources) finish(base *snapshot, space store.Space, dropped bool) {
	slices.Reverse(from.traces)
	if sec := base.section(space); !dropped && sec.at < sec.end {
		from.base, from.section = base, sec
	}
}

func (from sources) use() {
	for _, t := range from.traces {
		t.file.use()
	}
	if from.base != nil {
		from.base.file.use()
	}
}

func (from sources) release() {
	for _, t := range from.traces {
		t.file.release()
	}
	if from.base != nil {
		from.base.file.release()
	}
}

// read yields the records of the space until yield returns false or ctx ends. If a file cannot be read, it returns the
// file and the error.
func (from sources) read(
	ctx context.Context, space store.Space, yield func(node.Record) bool,
) (unreadable *sharedFile, err error) {
	var f fold
	for _, t := range from.traces {
		if err := f.read(ctx, space, t); err != nil {
			return t.file, err
		}
	}
	changes := f.latest()
	err = from.base.merged(from.section, changes, func(r node.Record) bool { return ctx.Err() == nil && yield(r) })
	if err != nil {
		return from.base.file, err
	}

	return nil, ctx.Err()
}

// isDamage reports whether the error says that a file is not what was written.
func isDamage(err error) bool {
	for _, e := range []error{errBroken, errBadBatch, errBadHeader, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, e) {
			return true
		}
	}

	return false
}

// loadError returns the error of a Load that could not read the file. Damage stops the store.
func (s *Store) loadError(space store.Space, f *sharedFile, err error) error {
	switch {
	case isDamage(err):
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = s.stop(s.damage(f.name, err))

		return fmt.Errorf("store %q: load space %d: %w: restore a backup", s.dir, space, s.damage(f.name, err))
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	default:
		return fmt.Errorf("store %q: load space %d: %w: %s", s.dir, space, s.fault("read", f.name, err), remedy(s.dir, err))
	}
}
