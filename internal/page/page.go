package page

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"tenure/internal/access"
	"tenure/internal/clock"
	"tenure/internal/serverstats"
	"tenure/server"
)

// Config says what the page shows. All functions must be set, and safe for concurrent use.
type Config struct {
	Status     func(ctx context.Context) (server.Status, error)
	Stats      func(ctx context.Context) *serverstats.Server
	Live       func() error
	Ready      func() error
	EndSession func(r *http.Request, user, node string, session uint64) error
	Caller     func(r *http.Request, token string) (name string, rights access.Rights, err error)
	Login      func(r *http.Request, user, secret string) (token string, err error)
	Lacks      func(r *http.Request, user string, need access.Rights) // reports that a user was refused
	Foreign    func(r *http.Request)                                  // reports a request of another page

	Version string
	Audit   string // file of the audit log; empty: the page cannot read an audit log
	Secure  bool   // the page is served over TLS
	Clock   clock.Clock
	Logger  *slog.Logger
}

// Page serves the page. Create one with New.
type Page struct {
	c       Config
	watcher *watcher
	views   *views
	logins  *logins
	started time.Time
	read    lines // the last history, used while a view is rendered
}

// New returns a page. The caller must call Close.
func New(c Config) *Page {
	p := &Page{c: c, started: c.Clock.Time(c.Clock.Now()), logins: newLogins(c.Clock)}
	source := &source{c: c}
	p.watcher = newWatcher(c.Clock, source.take)
	p.views = newViews(p.render)

	return p
}

// Close ends the streams of all viewers. Other requests are served as before.
func (p *Page) Close() { p.watcher.close() }

// Register adds the page's handlers.
func (p *Page) Register(mux *http.ServeMux) {
	mux.Handle("GET /static/{file}", p.headers(http.HandlerFunc(static)))
	mux.Handle("GET /login", p.headers(http.HandlerFunc(p.loginForm)))
	mux.Handle("POST /login", p.headers(http.HandlerFunc(p.login)))
	mux.Handle("POST /logout", p.headers(http.HandlerFunc(p.logout)))
	for _, kind := range []string{listView, semaphoreView, sessionView} {
		mux.Handle("GET "+kind, p.headers(p.need(access.View, p.show)))
		mux.Handle("GET /live"+kind, p.headers(p.need(access.View, p.live)))
	}
	mux.Handle("GET /session/end", p.headers(p.need(access.Full, p.confirmEnd)))
	mux.Handle("POST /session/end", p.headers(p.need(access.Full, p.end)))
}

// headers adds the headers that protect the page, and refuses requests that a page of somebody else has made a browser
// send. Links from other pages are fine. POST requests must say where they come from, as all browsers do.
func (p *Page) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "same-origin") // with no-referrer, browsers would not say where a POST comes from
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cache-Control", "no-store")
		if text := foreign(r); text != "" {
			p.c.Foreign(r)
			http.Error(w, text, http.StatusForbidden)

			return
		}
		next.ServeHTTP(w, r)
	})
}

// show answers with a whole page.
func (p *Page) show(w http.ResponseWriter, r *http.Request, who caller) {
	q, err := parseQuery(r)
	if err != nil {
		p.message(w, who, http.StatusBadRequest, "This address is not complete", err.Error())

		return
	}
	s, err := p.watcher.current(r.Context())
	if err != nil {
		p.message(w, who, http.StatusServiceUnavailable, "Not available", "The server is stopping.")

		return
	}
	html, err := p.views.once(r.Context(), key{q, who.full}, s)
	if err != nil {
		return // the client has gone
	}
	p.write(w, http.StatusOK, frame{
		Title: title(s, q), Search: q.search, Live: true, User: who.name, Main: html,
	})
}

// frame is what surrounds a view.
type frame struct {
	Title  string
	Search string
	Live   bool
	User   string
	Main   trusted
}
