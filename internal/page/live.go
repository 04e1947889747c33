package page

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"tenure/internal/access"
	"tenure/internal/clock"
)

const (
	heartbeat  = 15 * time.Second // after which a viewer is written to, so that one that is gone is noticed
	writeLimit = 10 * time.Second // for a viewer that does not read
)

// live answers with server-sent events: the HTML of the view whenever it has changed. The stream ends when the caller's
// rights change. The browser then begins again.
func (p *Page) live(w http.ResponseWriter, r *http.Request, who caller) {
	q, err := parseQuery(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)

		return
	}
	if !p.watcher.enter(who.name) {
		w.Header().Set("Retry-After", "30")
		http.Error(w, "too many viewers: reload the page to see changes", http.StatusServiceUnavailable)

		return
	}
	defer p.watcher.leave(who.name)
	k := key{q, who.full}
	stream := &stream{w: w, control: http.NewResponseController(w), clock: p.c.Clock}
	w.Header().Set("Content-Type", "text/event-stream")
	if stream.control.SetReadDeadline(time.Time{}) != nil || stream.write([]byte(": hello\n\n")) != nil {
		return
	}
	p.watch(r.Context(), stream, k, func() bool {
		now, err := p.caller(r)

		return err == nil && now.rights.Has(access.View) && now.full == who.full
	})
}

// watch sends a view until the viewer goes, or allowed returns false.
func (p *Page) watch(ctx context.Context, stream *stream, k key, allowed func() bool) {
	view := p.views.open(k)
	defer p.views.release(k)
	timer := p.c.Clock.NewTimer()
	defer timer.Stop()
	written := func() {
		now := p.c.Clock.Now()
		timer.Set(now, now.Add(heartbeat))
	}
	written()
	sent := uint64(0)
	for {
		s, changed := p.watcher.latest()
		if s != nil {
			html, version, err := p.views.update(ctx, k, view, s)
			if err != nil {
				return
			}
			if version != sent {
				if stream.event(html) != nil {
					return
				}
				sent = version
				written()
			}
		}
		select {
		case <-changed:
		case <-timer.C():
			if stream.write([]byte(":\n\n")) != nil {
				return
			}
			written()
		case <-ctx.Done():
			return
		case <-p.watcher.ctx.Done():
			return
		}
		if !allowed() {
			return
		}
	}
}

// stream writes server-sent events.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	clock   clock.Clock
}

// event sends the text as the data of an event.
func (s *stream) event(text []byte) error {
	var b bytes.Buffer
	for line := range bytes.Lines(text) {
		b.WriteString("data: ")
		b.Write(bytes.TrimRight(line, "\r\n"))
		b.WriteByte('\n')
	}
	b.WriteByte('\n')

	return s.write(b.Bytes())
}

func (s *stream) write(text []byte) error {
	if err := s.control.SetWriteDeadline(s.clock.Time(s.clock.Now().Add(writeLimit))); err != nil {
		return err
	}
	if _, err := s.w.Write(text); err != nil {
		return err
	}

	return s.control.Flush()
}
