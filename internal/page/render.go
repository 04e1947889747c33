package page

import (
	"bytes"
	"context"
	"embed"
	"html/template"
	"net/http"
	"path"
	"time"
)

//go:embed assets
var assets embed.FS

// templates escape everything that they are given, except for what is trusted.
var templates = template.Must(template.ParseFS(assets, "assets/*.html"))

// trusted is HTML that a template of ours has written.
type trusted []byte

// HTML returns it for a template.
func (t trusted) HTML() template.HTML { return template.HTML(t) }

// render makes the HTML of a view.
func (p *Page) render(s *snapshot, k key, now time.Time) trusted {
	b := builder{s: s, now: now, full: k.full}
	switch k.view {
	case semaphoreView:
		return p.html("semaphore", b.semaphore(k.query, p.read.history(p.c.Audit, s, k.query)))
	case sessionView:
		return p.html("session", b.session(k.query))
	}

	return p.html("list", b.list(k.query, p.c.Version, p.started))
}

// html executes a template. A mistake in one shows as an empty view, and in tests.
func (p *Page) html(name string, model any) trusted {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, model); err != nil {
		p.c.Logger.ErrorContext(context.Background(), "cannot show a view of the page", "view", name, "error", err)
	}

	return b.Bytes()
}

// message answers with a page that says one thing.
func (p *Page) message(w http.ResponseWriter, who caller, status int, heading, text string) {
	model := struct{ Heading, Text string }{heading, text}
	p.write(w, status, frame{Title: heading + " · tenure", User: who.name, Main: p.html("message", model)})
}

// write answers with a page.
func (p *Page) write(w http.ResponseWriter, status int, f frame) {
	p.execute(w, status, "frame", f)
}

func (p *Page) execute(w http.ResponseWriter, status int, name string, model any) {
	html := p.html(name, model)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(html) // the client may have gone
}

// static answers with a file that is the same for everybody.
func static(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	types := map[string]string{
		".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	}
	kind, ok := types[path.Ext(name)]
	text, err := assets.ReadFile("assets/" + name)
	if !ok || err != nil {
		http.NotFound(w, r)

		return
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(text)
}
