package page

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/access"
	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/printable"
	"tenure/internal/serverstats"
	"tenure/server"
)

// fake is a server of which tests decide what it shows.
type fake struct {
	status func(context.Context) (server.Status, error)
	stats  serverstats.Server
	ready  error
	audit  string
	caller func(token string) (string, access.Rights, error)
}

func (f *fake) page() *Page {
	return New(Config{
		Status: f.status,
		Stats:  func(context.Context) *serverstats.Server { return &f.stats },
		Live:   func() error { return nil },
		Ready:  func() error { return f.ready },
		EndSession: func(*http.Request, string, string, uint64) error {
			return server.ErrNoSession
		},
		Caller: func(_ *http.Request, token string) (string, access.Rights, error) {
			if f.caller != nil {
				return f.caller(token)
			}

			return "", access.Full, nil
		},
		Login:   func(*http.Request, string, string) (string, error) { return "", nil },
		Lacks:   func(*http.Request, string, access.Rights) {},
		Foreign: func(*http.Request) {},
		Version: "v1", Audit: f.audit, Clock: clock.Go(), Logger: slog.New(slog.DiscardHandler),
	})
}

func still(s server.Status) func(context.Context) (server.Status, error) {
	return func(context.Context) (server.Status, error) { return s, nil }
}

// get returns the answer of a page to a request.
func get(t *testing.T, p *Page, url string, headers ...string) (int, string) {
	t.Helper()
	mux := http.NewServeMux()
	p.Register(mux)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)

	return w.Code, w.Body.String()
}

func holder(session uint64, data string) server.HolderStatus {
	return server.HolderStatus{
		Session: session, Attached: true, Token: session, Count: 1, Data: data, Since: time.Now().Add(-time.Minute),
	}
}

func lock(name string, owners, waiters []server.HolderStatus) server.SemaphoreStatus {
	return server.SemaphoreStatus{
		Name: name, Limit: 1<<64 - 1, Ephemeral: true, Owners: owners, Waiters: waiters,
	}
}

func oneNode(all ...server.SemaphoreStatus) server.Status {
	return server.Status{Nodes: []server.NodeStatus{{Path: "/local/x", Sessions: 3, Semaphores: all}}}
}

// The page says how many nodes it does not show, and that nobody holds a semaphore of such a node.
func TestPage_IdleNodes(t *testing.T) {
	t.Parallel()
	status := oneNode(lock("deploy", []server.HolderStatus{holder(1, "ann")}, nil))
	status.Nodes = append(status.Nodes, server.NodeStatus{Path: "/local/y", Idle: true})
	p := (&fake{status: still(status)}).page()
	defer p.Close()
	_, body := get(t, p, "/")
	require.Contains(t, body, ">1 node without sessions is not in memory, ")
	_, body = get(t, p, query{view: semaphoreView, node: "/local/y", name: "build"}.url())
	require.Contains(t, body, "Nobody holds it.")
	_, body = get(t, p, query{view: semaphoreView, node: "/local/x", name: "build"}.url())
	require.Contains(t, body, "It does not exist now.")
}

// With several servers, the page says which one serves a node, and which one does not answer.
func TestPage_Servers(t *testing.T) {
	t.Parallel()
	status := oneNode(lock("deploy", []server.HolderStatus{holder(1, "ann")}, nil))
	p := (&fake{status: still(status)}).page()
	defer p.Close()
	_, body := get(t, p, "/")
	require.NotContains(t, body, "Servers")

	status.Nodes[0].Server = "grpc://a:1"
	status.Nodes = append(status.Nodes, server.NodeStatus{Path: "/local/y", Unserved: true, Server: "grpc://b:1"},
		server.NodeStatus{Path: "/local/z", Unserved: true})
	status.Servers = []server.MemberStatus{
		{ID: "A", Address: "grpc://a:1", Version: "v1", Nodes: 1, Asked: true, Since: time.Now().Add(-time.Minute)},
		{ID: "B", Address: "grpc://b:1", Peer: "b:2", Version: "v2", Nodes: 1, Error: "<refused>"},
	}
	several := (&fake{status: still(status)}).page()
	defer several.Close()
	_, body = get(t, several, "/")
	for _, want := range []string{
		">Servers <small>2<", "<bdi>grpc://a:1</bdi></th>", "this one", "does not answer: <bdi>&lt;refused&gt;</bdi>",
		"<small><bdi>b:2</bdi></small>", "2 nodes are served by no server that answers",
		`<bdi>/local/x</bdi></th><td role="cell" data-label="Served by"><bdi>grpc://a:1</bdi>`,
		`<bdi>/local/y</bdi></th><td role="cell" data-label="Served by">` +
			`<span class="faint">no server that answers: it belongs`,
		`<bdi>/local/z</bdi></th><td role="cell" data-label="Served by"><span class="faint">no server</span>`,
	} {
		require.Contains(t, body, want)
	}
	_, body = get(t, several, query{view: semaphoreView, node: "/local/y", name: "build"}.url())
	require.Contains(t, body, "No server that answers serves its node.")
}

// Text of users appears as text, whatever it is and wherever it is shown.
func TestPage_HostileText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`<script>alert(1)</script>`:       `&lt;script&gt;alert(1)&lt;/script&gt;`,
		`"><img src=x onerror=alert(1)>`:  `&#34;&gt;&lt;img src=x onerror=alert(1)&gt;`,
		"javascript:alert(1)":             "javascript:alert(1)",
		"</bdi></td>{{.}}":                "&lt;/bdi&gt;&lt;/td&gt;{{.}}",
		"a\x00b\x1b[2Jc\nd":               `a\x00b\x1b[2Jc\nd`,
		"right\u202eto left\u200b\u2066":  `right\u202eto left\u200b\u2066`,
		"bad \xff UTF-8":                  `bad \xff UTF-8`,
		strings.Repeat("x", 500):          strings.Repeat("x", 200) + "…",
		strings.Repeat("x", 199) + "日本":   strings.Repeat("x", 199) + "…",
		"data: x\n\nevent: y\ndata: </p>": `data: x\n\nevent: y\ndata: &lt;/p&gt;`,
	} {
		sem := lock(text, []server.HolderStatus{holder(1, text)}, []server.HolderStatus{holder(2, text)})
		sem.Data, sem.Owners[0].Description = text, text
		status := oneNode(sem)
		status.Nodes = append(status.Nodes, server.NodeStatus{Path: "/local/" + text})
		file := filepath.Join(t.TempDir(), "audit")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		p := (&fake{status: still(status), ready: errors.New(printable.Clip(text, 200)), audit: file}).page()
		defer p.Close()
		for _, url := range []string{
			"/", query{view: listView, search: text}.url(), query{view: semaphoreView, node: "/local/x", name: text}.url(),
			query{view: sessionView, node: "/local/x", session: 1}.url(),
			"/session/end?node=/local/x&session=1", "/session/end?session=9&node=" + "/local/x",
			query{view: semaphoreView, node: text, name: text}.url(),
		} {
			code, body := get(t, p, url)
			require.Equal(t, 200, code, url)
			if !strings.Contains(url, "session=9") {
				require.Contains(t, body, ">"+want, url)
			}
			_, body, _ = strings.Cut(body, "<main") // before it is what the viewer searched for
			for _, bad := range []string{"<script>alert", "<img", "=\"javascript", "\x1b", "\u202e", "</bdi></td>{{", "\x00"} {
				require.NotContains(t, body, bad, url)
			}
			require.Less(t, len(body), 20_000)
		}
	}
}

// The list begins with the longest wait. Then come those of clients that are gone, other holders, and what is free.
func TestPage_List(t *testing.T) {
	t.Parallel()
	early, late, gone, old := holder(1, "early"), holder(2, "late"), holder(3, "gone"), holder(4, "old")
	late.Since = late.Since.Add(10 * time.Second)
	gone.Attached, gone.Ends = false, time.Now().Add(4*time.Second)
	old.Since, old.SinceBefore = time.Time{}, time.Now().Add(-time.Hour)
	status := oneNode(
		server.SemaphoreStatus{Name: "f-free", Limit: 3}, lock("e-new", []server.HolderStatus{late}, nil),
		lock("d-old", []server.HolderStatus{old}, nil), lock("c-gone", []server.HolderStatus{gone}, nil),
		lock("b-later", []server.HolderStatus{old}, []server.HolderStatus{late, early}),
		lock("a-first", []server.HolderStatus{old, late}, []server.HolderStatus{early}),
	)
	p := (&fake{status: still(status)}).page()
	defer p.Close()
	_, body := get(t, p, "/")
	at := 0
	for _, name := range []string{"a-first", "b-later", "c-gone", "d-old", "e-new", "f-free"} {
		i := strings.Index(body[at:], "<bdi>"+name)
		require.Positive(t, i, name)
		at += i
	}
	require.Contains(t, body, `<h1 id="health" class="good">Ready</h1>`)
	require.Contains(t, body, ">1h</time>")
	require.Contains(t, body, "over <time")
	require.Regexp(t, `gone, ends in <time data-left datetime="[^"]*">[45]s`, body)
	require.Contains(t, body, "and 1 more")
	require.Contains(t, body, "0 of 3 taken")
	require.Contains(t, body, "6 in <bdi>/local/x</bdi>")

	_, body = get(t, p, "/?q=GONE+c-")
	require.Contains(t, body, "1 of 6")
	require.NotContains(t, body, "a-first")
	_, body = get(t, p, "/?q=nothing")
	require.Contains(t, body, "Nothing matches.")
	_, body = get(t, p, "/?page=7")
	require.Contains(t, body, "There are no more.")

	_, body = get(t, p, "/session?node=/local/x&session=2")
	require.Regexp(t, `(?s)Holds.*a-first.*e-new.*Waits for.*b-later.*data-label="Place">1<`, body)
	require.Contains(t, body, "End this session…")
	_, body = get(t, p, "/session?node=/local/y&session=2")
	require.Contains(t, body, "It may have ended.")
	code, body := get(t, p, "/session?node=/local/y")
	require.Equal(t, 400, code)
	require.Contains(t, body, "it needs the number of a session")
}

// A page with many semaphores has several parts, and its size is bounded.
func TestPage_Many(t *testing.T) {
	t.Parallel()
	var all []server.SemaphoreStatus
	for i := range 2000 {
		all = append(all, lock(fmt.Sprintf("s%04d", i), []server.HolderStatus{holder(1, "x")}, nil))
	}
	all[0].Waiters = make([]server.HolderStatus, 3000)
	p := (&fake{status: still(oneNode(all...))}).page()
	defer p.Close()
	_, body := get(t, p, "/?page=2")
	require.Contains(t, body, "201 to 400 of 2000")
	require.Contains(t, body, `href="/">Previous`)
	require.Contains(t, body, `href="/?page=3">Next`)
	require.Equal(t, 200, strings.Count(body, "<tr role=\"row\"><th role=\"rowheader\""))
	_, body = get(t, p, "/semaphore?node=/local/x&name=s0000")
	require.Contains(t, body, "And 2,500 more.")
	_, body = get(t, p, "/session?node=/local/x&session=1")
	require.Contains(t, body, "And 1,500 more.")
}

// What is wrong with the server comes first, and the title says so.
func TestPage_NotWell(t *testing.T) {
	t.Parallel()
	f := &fake{ready: errors.New("the store has not finished a commit for 5 s"), stats: serverstats.Server{
		AuditDropped: 7, Nodes: []serverstats.Node{{Sizes: node.Sizes{Sessions: 5, Attached: 3}}},
	}}
	f.stats.Nodes[0].Commits.Observe(2)
	f.status = func(context.Context) (server.Status, error) { return server.Status{}, errors.New("disk <b>") }
	p := f.page()
	defer p.Close()
	code, body := get(t, p, "/")
	require.Equal(t, 200, code)
	require.Contains(t, body, `<h1 id="health" class="bad">Not ready</h1>`)
	require.Contains(t, body, "<title>Not ready · tenure</title>")
	require.Contains(t, body, "The semaphores cannot be shown: <bdi>disk &lt;b&gt;</bdi>")
	require.Contains(t, body, "2 clients gone")
	require.Contains(t, body, "<dt>Audit events lost</dt><dd class=\"bad\">7</dd>")
	require.Regexp(t, `<dd class="bad">(1\.\d|2\.\d).s <small>since the start`, body)

	frozen := oneNode(lock("kept", []server.HolderStatus{holder(1, "x")}, nil))
	frozen.GrantsFrom = time.Now().Add(90 * time.Second)
	f.status = still(frozen)
	p.c.Status = f.status
	p.watcher.take = (&source{c: p.c}).take
	p.watcher.invalidate()
	_, body = get(t, p, "/")
	require.Contains(t, body, "kept")
	require.Contains(t, body, "Restored from a backup: nothing is granted for <time data-left datetime=")
	require.NotContains(t, body, "cannot be shown")
	p.c.Status = func(context.Context) (server.Status, error) { return server.Status{}, errors.New("again") }
	p.watcher.take = (&source{c: p.c}).take
	p.watcher.invalidate()
	_, body = get(t, p, "/")
	require.Contains(t, body, "kept")
	require.Regexp(t, `What follows is from <time.*because.*again`, body)
}

// The view of a semaphore has the end of the audit log in words.
func TestPage_History(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "audit.log")
	var lines strings.Builder
	for i := range 30 {
		fmt.Fprintf(&lines, `{"t":"2026-03-01T02:00:00Z","ev":"grant","node":"/local/x","sem":"a","token":%d}`+"\n", i+1)
	}
	lines.WriteString(`{"t":"2026-03-01T02:00:00Z","ev":"end","node":"/local/x","sem":"a","token":30,"held_ms":61000,` +
		`"reason":"expired","user":"build"}` + "\n")
	require.NoError(t, os.WriteFile(file, []byte(lines.String()), 0o600))
	f := &fake{status: still(oneNode()), audit: file}
	_, body := get(t, f.page(), "/semaphore?node=/local/x&name=a")
	require.Equal(t, historyLen, strings.Count(body, `class="time"`))
	require.Contains(t, body, `class="bad">session timed out</td>`)
	require.Contains(t, body, "held for 1m\u00a01s")
	require.Contains(t, body, "(user build)")
	require.Contains(t, body, ">immediately<")

	f.audit = filepath.Join(file, "nothing")
	_, body = get(t, f.page(), "/semaphore?node=/local/x&name=a")
	require.Contains(t, body, "The audit log cannot be read")
	f.audit = ""
	_, body = get(t, f.page(), "/semaphore?node=/local/x&name=a")
	require.NotContains(t, body, "audit log")
}

// Every answer has the headers that protect the page.
func TestPage_Headers(t *testing.T) {
	t.Parallel()
	p := (&fake{status: still(oneNode())}).page()
	mux := http.NewServeMux()
	p.Register(mux)
	for _, url := range []string{
		"/", "/semaphore?node=a&name=b", "/session?node=a&session=1", "/session/end?node=a&session=1", "/login",
		"/static/page.css", "/static/page.js", "/static/icon.svg", "/session", "/live/session", "/static/frame.html",
	} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody))
		h := w.Header()
		require.Contains(t, h.Get("Content-Security-Policy"), "default-src 'self'; base-uri 'none'; form-action 'self'")
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), url)
		require.Equal(t, "no-store", h.Get("Cache-Control"), url)
		require.Equal(t, "same-origin", h.Get("Referrer-Policy"), url)
		require.NotContains(t, w.Body.String(), "style=", url)
	}
	code, _ := get(t, p, "/static/frame.html")
	require.Equal(t, 404, code, "a template is not for browsers")
}

// Requests that a page of somebody else makes a browser send are refused, except for links.
func TestForeign(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		method, site, mode, origin string
		refused                    bool
	}{
		{"GET", "", "", "", false},
		{"GET", "none", "navigate", "", false},
		{"GET", "same-origin", "cors", "", false},
		{"GET", "cross-site", "navigate", "", false},
		{"GET", "cross-site", "cors", "http://evil.example", true},
		{"GET", "cross-site", "no-cors", "", true},
		{"GET", "same-site", "no-cors", "", true},
		{"GET", "", "", "http://evil.example", true},
		{"GET", "", "", "http://example.com", false},
		{"POST", "same-origin", "navigate", "http://example.com", false},
		{"POST", "cross-site", "navigate", "http://evil.example", true},
		{"POST", "same-site", "navigate", "http://example.com:81", true},
		{"POST", "", "", "http://example.com", false},
		{"POST", "", "", "http://evil.example", true},
		{"POST", "", "", "null", true},
		{"POST", "", "", "", true},
	} {
		r := httptest.NewRequestWithContext(t.Context(), test.method, "http://example.com/", http.NoBody)
		for name, value := range map[string]string{
			"Sec-Fetch-Site": test.site, "Sec-Fetch-Mode": test.mode, "Origin": test.origin,
		} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		require.Equal(t, test.refused, foreign(r) != "", "%+v", test)
	}
}

// A log-in leads to a view of this server, and never elsewhere.
func TestLocal(t *testing.T) {
	t.Parallel()
	for next, want := range map[string]string{
		"":                                "/",
		"/":                               "/",
		"/?q=x+y":                         "/?q=x+y",
		"/semaphore?node=/local/x&name=a": "/semaphore?name=a&node=%2Flocal%2Fx",
		"/session/end?node=a&session=7":   "/session/end?node=a&session=7",
		"/live/?q=x":                      "/?q=x",
		"//evil.example/":                 "/",
		"/\\evil.example/":                "/",
		"https://evil.example/session":    "/",
		"javascript:alert(1)":             "/",
		"/login":                          "/",
		"/\n/evil.example":                "/",
		"%zz":                             "/",
	} {
		require.Equal(t, want, local(next), next)
	}
}

func TestShort(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", time.Minute: "1m", 61 * time.Second: "1m 1s", time.Hour: "1h",
		3*time.Hour + 5*time.Minute: "3h 5m", 49*time.Hour + time.Minute: "2d 1h", 48 * time.Hour: "2d",
	} {
		require.Equal(t, want, strings.ReplaceAll(short(d), "\u00a0", " "))
	}
	for d, want := range map[time.Duration]string{
		0: "0 ms", 3 * time.Microsecond: "3.0 µs", 4123 * time.Microsecond: "4.1 ms", 41_999 * time.Microsecond: "42 ms",
		987 * time.Millisecond: "990 ms", 1500 * time.Millisecond: "1.5 s",
	} {
		require.Equal(t, want, strings.ReplaceAll(seconds(d), "\u00a0", " "))
	}
	require.Equal(t, "1,234,567", printable.Number(1234567))
	require.Equal(t, "999", printable.Number(999))
}

// The commits of the last minute are shown once a minute is known.
func TestSource_Window(t *testing.T) {
	t.Parallel()
	var s source
	var all serverstats.Histogram
	at := clock.Instant(1)
	for i := range 70 {
		all.Observe(float64(i))
		recent, known := s.window(at.Add(time.Duration(i)*time.Second), all)
		require.Equal(t, i >= 50, known, i)
		if !known {
			require.EqualValues(t, i+1, recent.Count)
		} else {
			require.InDelta(t, 60, recent.Count, 11)
		}
	}
	require.LessOrEqual(t, len(s.samples), 8)
	_, known := s.window(at.Add(time.Hour), all)
	require.False(t, known, "nobody has looked for an hour")
	require.Len(t, s.samples, 1)
}
