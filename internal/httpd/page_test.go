package httpd_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"tenure/internal/access"
	"tenure/server"
)

// browser is a client that keeps cookies, and sends the headers that tell where a request comes from.
type browser struct {
	t    *testing.T
	base string
	http *http.Client
}

func newBrowser(t *testing.T, base string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)

	return &browser{t: t, base: base, http: &http.Client{Jar: jar, Transport: transport, CheckRedirect: noRedirect}}
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// open returns the answer to a request of a page of the server itself, or of the site.
func (b *browser) open(method, path, site string, form url.Values) *http.Response {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, strings.NewReader(form.Encode()))
	require.NoError(b.t, err)
	r.Header.Set("Sec-Fetch-Site", site)
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.http.Do(r)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { resp.Body.Close() })

	return resp
}

func (b *browser) get(path string) *http.Response {
	b.t.Helper()

	return b.open(http.MethodGet, path, "same-origin", nil)
}

func (b *browser) post(path string, pairs ...string) *http.Response {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}

	return b.open(http.MethodPost, path, "same-origin", form)
}

func text(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)

	return string(b)
}

// Without users, everybody on this machine sees the page and may end sessions, but not the pages of other sites.
func TestPage_Local(t *testing.T) {
	t.Parallel()
	_, address := serve(t, true)
	b := newBrowser(t, address)
	resp := b.get("/")
	require.Equal(t, 200, resp.StatusCode)
	require.Contains(t, text(t, resp), `class="good">Ready</h1>`)
	require.Equal(t, "/", b.get("/login").Header.Get("Location"))

	resp = b.post("/session/end", "node", "/local/x", "session", "7")
	require.Equal(t, 404, resp.StatusCode)
	require.Contains(t, text(t, resp), "Session 7 of node /local/x does not exist.")
	require.Equal(t, 400, b.post("/session/end").StatusCode)
	require.Equal(t, 403, b.open(http.MethodPost, "/session/end", "cross-site", nil).StatusCode)
	status, _ := call(t, "POST", address+"/session/end", "node=/local/x&session=7", "Content-Type",
		"application/x-www-form-urlencoded")
	require.Equal(t, 403, status, "not from a browser")
	status, _ = call(t, "GET", address+"/", "", "Host", "evil.example")
	require.Equal(t, 421, status, "DNS rebinding")
	status, _ = call(t, "GET", address+"/live/", "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors")
	require.Equal(t, 403, status, "a page of another site must not take the places of viewers")
}

// The server stops at once although somebody looks. serve requires that Close and Serve end.
func TestPage_Stop(t *testing.T) {
	t.Parallel()
	_, address := serve(t, true)
	b := newBrowser(t, address)
	resp := b.get("/live/")
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() && lines.Text() != "data: </div>" {
		require.NoError(t, lines.Err())
	}
}

// With users, a browser logs in with a token or a password, and gets a cookie that scripts and other sites cannot use.
func TestPage_Login(t *testing.T) {
	t.Parallel()
	lister, listing := access.NewToken()
	root, all := access.NewToken()
	nobody, none := access.NewToken()
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), 10)
	require.NoError(t, err)
	tokens := fmt.Sprintf("user l token=%s\nuser r token=%s\nuser n token=%s\nuser ann password=%s\n", listing, all, none, hash) +
		"grant l /local list\ngrant r /local full\ngrant ann /local full\n"
	file := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(file, []byte(tokens), 0o600))
	_, address := serve(t, true, server.WithTokensFile(file))

	b := newBrowser(t, address)
	require.Equal(t, "/login?next=%2Fsession%3Fnode%3Da%26session%3D1", b.get("/session?node=a&session=1").Header.Get("Location"))
	require.Equal(t, 401, b.post("/session/end", "node", "a", "session", "1").StatusCode)
	resp := b.open(http.MethodGet, "/semaphore?node=a&name=b", "cross-site", nil)
	require.Equal(t, 200, resp.StatusCode, "the browser repeats it from here, because it sends no cookie with a link from elsewhere")
	require.Contains(t, text(t, resp), `<meta http-equiv="refresh" content="0; url=/semaphore?name=b&amp;node=a">`)
	require.Contains(t, text(t, b.get("/login")), `type="password"`)
	require.Equal(t, 403, b.open(http.MethodPost, "/login", "cross-site", nil).StatusCode, "a log-in as somebody else")
	resp = b.get("/static/page.css")
	require.Equal(t, 200, resp.StatusCode)

	for _, wrong := range [][]string{{"secret", "wrong"}, {"user", "ann", "secret", "wrong"}, {"user", "l", "secret", lister}, nil} {
		resp = b.post("/login", wrong...)
		require.Equal(t, 403, resp.StatusCode)
		require.Empty(t, resp.Cookies())
		require.NotContains(t, text(t, resp), lister)
	}
	require.Equal(t, 303, b.get("/").StatusCode)

	resp = b.post("/login", "secret", " "+lister+"\n", "next", "//evil.example/")
	require.Equal(t, 303, resp.StatusCode)
	require.Equal(t, "/", resp.Header.Get("Location"))
	cookie := resp.Cookies()[0]
	require.True(t, cookie.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
	require.NotContains(t, cookie.Value, lister)
	resp = b.get("/")
	require.Contains(t, text(t, resp), "<bdi>l</bdi> <button>Log out")
	require.Equal(t, 403, b.get("/session/end?node=a&session=1").StatusCode)
	require.Equal(t, 403, b.post("/session/end", "node", "a", "session", "1").StatusCode)

	resp = b.post("/login", "user", "ann", "secret", "secret")
	require.Equal(t, 303, resp.StatusCode)
	require.NotEqual(t, cookie.Value, resp.Cookies()[0].Value)
	resp = b.get("/session/end?node=a&session=1")
	require.Contains(t, text(t, resp), "The holder may still be running.")
	require.Equal(t, 404, b.post("/session/end", "node", "a", "session", "1").StatusCode)
	old := newBrowser(t, address)
	old.http.Jar.SetCookies(mustURL(t, address), []*http.Cookie{cookie})
	require.Equal(t, 303, old.get("/").StatusCode, "the new log-in has ended the one before")
	old.http.Jar.SetCookies(mustURL(t, address), []*http.Cookie{{Name: cookie.Name, Value: "fixed"}})
	old.post("/login", "secret", root)
	require.Equal(t, 200, old.get("/").StatusCode)
	require.NotEqual(t, "fixed", old.http.Jar.Cookies(mustURL(t, address))[0].Value)

	require.Equal(t, 303, b.post("/logout").StatusCode)
	require.Equal(t, "/login?next=%2F", b.get("/").Header.Get("Location"))
	b.post("/login", "secret", nobody)
	resp = b.get("/")
	require.Equal(t, 403, resp.StatusCode)
	require.Contains(t, text(t, resp), "your user needs the right “list” on the database")
}

func mustURL(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)

	return u
}
