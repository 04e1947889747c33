package page

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"tenure/internal/printable"
)

// Paths of the views.
const (
	listView      = "/{$}"
	semaphoreView = "/semaphore"
	sessionView   = "/session"
)

const (
	maxSearch = 200  // bytes
	maxName   = 4096 // bytes of a path or a name in a URL
	perPage   = 200  // semaphores
	maxPage   = 1_000_000
)

// query says what a viewer looks at. It is comparable.
type query struct {
	view       string
	node, name string
	session    uint64
	search     string
	page       int // from 0
}

// key identifies what is rendered.
type key struct {
	query

	full bool // the caller may end sessions
}

// parseQuery returns what the URL of a request asks for.
func parseQuery(r *http.Request) (q query, err error) {
	v := r.URL.Query()
	switch strings.TrimPrefix(r.URL.Path, "/live") {
	case semaphoreView:
		q.view, q.node, q.name = semaphoreView, v.Get("node"), v.Get("name")
	case sessionView, "/session/end":
		q.view, q.node = sessionView, v.Get("node")
		if q.session, err = strconv.ParseUint(v.Get("session"), 10, 64); err != nil {
			return q, errors.New("it needs the number of a session")
		}
	default:
		q.view, q.search = listView, printable.Clip(v.Get("q"), maxSearch)
		q.page, _ = strconv.Atoi(v.Get("page")) // 0 if it is none
		q.page = min(max(q.page-1, 0), maxPage)

		return q, nil
	}
	if q.node == "" || len(q.node) > maxName || len(q.name) > maxName {
		return q, errors.New("it needs the path of a node")
	}

	return q, nil
}

// url returns the address of the view.
func (q query) url() string {
	v := url.Values{}
	switch q.view {
	case semaphoreView:
		v.Set("node", q.node)
		v.Set("name", q.name)
	case sessionView:
		v.Set("node", q.node)
		v.Set("session", strconv.FormatUint(q.session, 10))
	default:
		if q.search != "" {
			v.Set("q", q.search)
		}
		if q.page > 0 {
			v.Set("page", strconv.Itoa(q.page+1))
		}
		if len(v) == 0 {
			return "/"
		}

		return "/?" + v.Encode()
	}

	return q.view + "?" + v.Encode()
}
