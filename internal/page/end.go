package page

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"tenure/server"
)

// confirmEnd asks whether to end a session, and says what that does and does not do.
func (p *Page) confirmEnd(w http.ResponseWriter, r *http.Request, who caller) {
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
	m := builder{s: s, now: s.at, full: who.full}.session(q)
	model := endModel{sessionModel: m, Path: q.node, Back: q.url()}
	p.write(w, http.StatusOK, frame{
		Title: fmt.Sprintf("End session %d? · tenure", q.session), User: who.name, Main: p.html("end", model),
	})
}

// endModel is the model of the confirmation.
type endModel struct {
	sessionModel

	Path string // of the node, as it is
	Back string
}

// end ends a session.
func (p *Page) end(w http.ResponseWriter, r *http.Request, who caller) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "this is not the form of /session/end", http.StatusBadRequest)

		return
	}
	node := r.PostForm.Get("node")
	session, err := strconv.ParseUint(r.PostForm.Get("session"), 10, 64)
	if err != nil || session == 0 || node == "" {
		p.message(w, who, http.StatusBadRequest, "Nothing was ended", "The form does not say which session to end.")

		return
	}
	switch err := p.c.EndSession(r, who.name, node, session); {
	case errors.Is(err, server.ErrNoNode), errors.Is(err, server.ErrNoSession):
		p.message(w, who, http.StatusNotFound, "Nothing was ended",
			fmt.Sprintf("Session %d of node %s does not exist. It may have ended by itself.", session, shown(node)))
	case err != nil:
		p.message(w, who, http.StatusServiceUnavailable, "Nothing was ended", shown(err.Error()))
	default:
		p.watcher.invalidate()
		v := url.Values{"node": {node}, "session": {strconv.FormatUint(session, 10)}}
		http.Redirect(w, r, sessionView+"?"+v.Encode(), http.StatusSeeOther)
	}
}
