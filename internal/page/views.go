package page

import (
	"bytes"
	"context"
	"sync"
	"time"
)

// rendering makes the HTML of a view as it is at a time.
type rendering func(s *snapshot, k key, now time.Time) trusted

// views shares what is rendered among viewers who look at the same. It renders one view at a time, so that viewers of a
// large server do not take more than one processor.
type views struct {
	render rendering
	slot   chan struct{} // holds a value while a view is rendered

	mu  sync.Mutex // guards all
	all map[key]*shared
}

// shared is a view that somebody watches. Its HTML contains ages, which the browser counts on. So it changes only if it
// would have been different for the same now.
type shared struct {
	viewers int // guarded by views.mu

	// The fields below are guarded by views.slot.

	of      *snapshot // the last one that was compared
	now     time.Time
	html    trusted
	version uint64 // of html; 0: no html yet
}

func newViews(render rendering) *views {
	return &views{render: render, slot: make(chan struct{}, 1), all: make(map[key]*shared)}
}

// open returns the view for a viewer, who must call release.
func (v *views) open(k key) *shared {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.all[k] == nil {
		v.all[k] = &shared{}
	}
	v.all[k].viewers++

	return v.all[k]
}

func (v *views) release(k key) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.all[k].viewers--; v.all[k].viewers == 0 {
		delete(v.all, k)
	}
}

// update returns the HTML of a view and its version, which grows with each change.
func (v *views) update(
	ctx context.Context, k key, view *shared, s *snapshot,
) (html trusted, version uint64, err error) {
	if err := v.enter(ctx); err != nil {
		return nil, 0, err
	}
	defer v.leave()
	if view.of == s || view.of != nil && s.at.Before(view.of.at) { // another viewer has rendered this, or a newer one
		return view.html, view.version, nil
	}
	if view.version == 0 || !bytes.Equal(v.render(s, k, view.now), view.html) {
		view.now, view.html = s.at, v.render(s, k, s.at)
		view.version++
	}
	view.of = s

	return view.html, view.version, nil
}

// once returns the HTML of a view that nobody watches.
func (v *views) once(ctx context.Context, k key, s *snapshot) (trusted, error) {
	if err := v.enter(ctx); err != nil {
		return nil, err
	}
	defer v.leave()

	return v.render(s, k, s.at), nil
}

func (v *views) enter(ctx context.Context) error {
	select {
	case v.slot <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (v *views) leave() { <-v.slot }
