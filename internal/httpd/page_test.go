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

// answer is what a browser gets.
type answer struct {
	status   int
	location string
	cookies  []*http.Cookie
	text     string
}

// open returns the answer to a request of a page of the server itself, or of the site.
func (b *browser) open(method, path, site string, form url.Values) answer {
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
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(b.t, err)

	return answer{resp.StatusCode, resp.Header.Get("Location"), resp.Cookies(), string(text)}
}

func (b *browser) get(path string) answer {
	b.t.Helper()

	return b.open(http.MethodGet, path, "same-origin", nil)
}

func (b *browser) post(path string, pairs ...string) answer {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}

	return b.open(http.MethodPost, path, "same-origin", form)
}

// Without users, everybody on this machine sees the page and may end sessions, but not the pages of other sites.
func TestPage_Local(t *testing.T) {
	t.Parallel()
	_, address := serve(t, true)
	b := newBrowser(t, address)
	resp := b.get("/")
	require.Equal(t, 200, resp.status)
	require.Contains(t, resp.text, `class="good">Ready</h1>`)
	require.Equal(t, "/", b.get("/login").location)

	resp = b.post("/session/end", "node", "/local/x", "session", "7")
	require.Equal(t, 404, resp.status)
	require.Contains(t, resp.text, "Session 7 of node /local/x does not exist.")
	require.Equal(t, 400, b.post("/session/end").status)
	require.Equal(t, 403, b.open(http.MethodPost, "/session/end", "cross-site", nil).status)
	status, _ := call(t, "POST", address+"/session/end", "node=/local/x&session=7", "Content-Type",
		"application/x-www-form-urlencoded")
	require.Equal(t, 403, status, "not from a browser")
	status, _ = call(t, "GET", address+"/", "", "Host", "evil.example")
	require.Equal(t, 421, status, "DNS rebinding")
	status, _ = call(t, "GET", address+"/live/", "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors")
	require.Equal(t, 403, status, "a page of another site must not take the places of viewers")
}

// The server stops immediately although somebody looks. serve requires that Close and Serve end.
func TestPage_Stop(t *testing.T) {
	t.Parallel()
	_, address := serve(t, true)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"/live/", http.NoBody)
	require.NoError(t, err)
	resp, err := newBrowser(t, address).http.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
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
	tokens := fmt.Sprintf("user l token=%s\nuser r token=%s\nuser n token=%s\n", listing, all, none) +
		fmt.Sprintf("user ann password=%s\n", hash) + "grant l /local list read\ngrant r /local full\ngrant ann /local full\n"
	file := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(file, []byte(tokens), 0o600))
	_, address := serve(t, true, server.WithTokensFile(file))

	b := newBrowser(t, address)
	resp := b.get("/session?node=a&session=1")
	require.Equal(t, "/login?next=%2Fsession%3Fnode%3Da%26session%3D1", resp.location)
	require.Equal(t, 401, b.post("/session/end", "node", "a", "session", "1").status)
	resp = b.open(http.MethodGet, "/semaphore?node=a&name=b", "cross-site", nil)
	require.Equal(t, 200, resp.status, "a browser sends no cookie with a link from elsewhere, so it repeats it")
	require.Contains(t, resp.text, `<meta http-equiv="refresh" content="0; url=/semaphore?name=b&amp;node=a">`)
	require.Contains(t, b.get("/login").text, `type="password"`)
	require.Equal(t, 403, b.open(http.MethodPost, "/login", "cross-site", nil).status, "a log-in as somebody else")
	resp = b.get("/static/page.css")
	require.Equal(t, 200, resp.status)

	for _, wrong := range [][]string{
		{"secret", "wrong"}, {"user", "ann", "secret", "wrong"}, {"user", "l", "secret", lister}, nil,
	} {
		resp = b.post("/login", wrong...)
		require.Equal(t, 403, resp.status)
		require.Empty(t, resp.cookies)
		require.NotContains(t, resp.text, lister)
	}
	require.Equal(t, 303, b.get("/").status)

	resp = b.post("/login", "secret", " "+lister+"\n", "next", "//evil.example/")
	require.Equal(t, 303, resp.status)
	require.Equal(t, "/", resp.location)
	cookie := resp.cookies[0]
	require.True(t, cookie.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
	require.NotContains(t, cookie.Value, lister)
	resp = b.get("/")
	require.Contains(t, resp.text, "<bdi>l</bdi> <button>Log out")
	require.Equal(t, 403, b.get("/session/end?node=a&session=1").status)
	require.Equal(t, 403, b.post("/session/end", "node", "a", "session", "1").status)

	resp = b.post("/login", "user", "ann", "secret", "secret")
	require.Equal(t, 303, resp.status)
	require.NotEqual(t, cookie.Value, resp.cookies[0].Value)
	resp = b.get("/session/end?node=a&session=1")
	require.Contains(t, resp.text, "The holder may still be running.")
	require.Equal(t, 404, b.post("/session/end", "node", "a", "session", "1").status)
	old := newBrowser(t, address)
	old.http.Jar.SetCookies(mustURL(t, address), []*http.Cookie{cookie})
	require.Equal(t, 303, old.get("/").status, "the new log-in has ended the one before")
	old.http.Jar.SetCookies(mustURL(t, address), []*http.Cookie{{Name: cookie.Name, Value: "fixed"}})
	old.post("/login", "secret", root)
	require.Equal(t, 200, old.get("/").status)
	require.NotEqual(t, "fixed", old.http.Jar.Cookies(mustURL(t, address))[0].Value)

	require.Equal(t, 303, b.post("/logout").status)
	require.Equal(t, "/login?next=%2F", b.get("/").location)
	resp = b.post("/login", "secret", nobody)
	require.Equal(t, 403, resp.status)
	require.Empty(t, resp.cookies)
	require.Contains(t, resp.text, "your user needs the rights “list” and “read” on the database")
}

func mustURL(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)

	return u
}
