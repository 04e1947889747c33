package browser

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// The page changes by itself when a lock changes hands, and the focus stays where it was. Its views fit on a narrow
// screen, also with hostile names. An operator ends a session on it.
func TestPage(t *testing.T) {
	b := newTab(t)
	page, dsn := serve(t)
	b.do(chromedp.EmulateViewport(1200, 800), chromedp.Navigate(page+"/"))
	b.shows("Nobody holds anything")
	b.until("document.getElementById('live').textContent === 'Changes appear by themselves.'")
	eval[bool](b, "window.same = true") // as long as the page is not loaded again

	// The Tab key leads through the page, and shows where it is.
	for _, want := range []string{"Skip to the content", "tenure", ""} {
		b.do(chromedp.KeyEvent(kb.Tab))
		require.Equal(t, want, eval[string](b, "document.activeElement.textContent"))
		require.Equal(t, "solid", eval[string](b, "getComputedStyle(document.activeElement).outlineStyle"))
	}

	first := lock(t, dsn, "deploy", "anna, first")
	b.shows("anna, first")
	lock(t, dsn, "deploy", "ben, second")
	b.until("document.querySelector('td[data-label=Waiting]')?.textContent === '1'")
	eval[bool](b, "document.querySelector('.name a').focus(), true")
	stop(first)
	b.shows("ben, second")
	require.True(t, eval[bool](b, "window.same"))
	require.Equal(t, "deploy", eval[string](b, "document.activeElement.textContent"))

	hostile := strings.Repeat("x", 190) + "<script>document.title='bad'</script>"
	lock(t, dsn, hostile, "\"><img src=x onerror=\"document.title='bad'\">\u202e"+strings.Repeat("y", 200))
	b.shows("<script>")
	b.click("deploy")
	b.shows("began to wait")
	b.narrow()
	b.do(chromedp.Navigate(page + "/"))
	b.shows("onerror")
	b.narrow()
	b.click("onerror")
	b.shows("Session 3")
	b.narrow()
	require.Equal(t, "Session 3 · tenure", eval[string](b, "document.title"))

	b.click("End this session")
	b.shows("The holder may still be running.")
	b.narrow()
	b.click("End session 3")
	b.shows("It may have ended.")
	b.do(chromedp.Navigate(page + "/?q=nothing"))
	b.shows("Nothing matches.")
	b.quiet()

	// Without a script, the page says that it must be loaded again.
	_, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled,
		emulation.SetScriptExecutionDisabledParams{Value: true})
	require.NoError(t, err)
	b.do(chromedp.Navigate(page + "/"))
	text := run(b, chromedp.Text(chromedp.CSS("body")))
	require.Contains(t, text, "ben, second")
	require.Contains(t, text, "Reload the page to see changes.")
}

// narrow requires that nothing is cut off on a screen that is 360 pixels wide.
func (b *tab) narrow() {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(360, 740))
	require.LessOrEqual(b.t, eval[int](b, "document.documentElement.scrollWidth"), 360,
		eval[string](b, `[...document.querySelectorAll("*")].filter(e => e.getBoundingClientRect().right > 360).
			map(e => e.outerHTML.slice(0, 200)).join("\n")`))
	b.do(chromedp.EmulateViewport(1200, 800))
}

// Somebody logs in with a token. A link on another site leads to the page, and a form on another site does nothing.
func TestPage_Login(t *testing.T) {
	b := newTab(t)
	tokens := filepath.Join(t.TempDir(), "tokens")
	out, err := exec.Command(binary, "token", "new", "ann", "--tokens", tokens).Output()
	require.NoError(t, err)
	f, err := os.OpenFile(tokens, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString("grant ann /local full\n")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	page, _ := serve(t, "--tokens", tokens)
	page = strings.Replace(page, "127.0.0.1", "localhost", 1)

	b.do(chromedp.Navigate(page + "/semaphore?node=/local/x&name=deploy"))
	b.shows("Password or token")
	b.narrow()
	eval[bool](b, fmt.Sprintf("document.getElementById('secret').value = %q, true", strings.TrimSpace(string(out))))
	b.click("Log in")
	b.shows("Semaphore in /local/x")
	b.shows("ann")
	b.quiet()

	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `<a href="%[1]s/?q=abc">link</a><iframe src="%[1]s/"></iframe>
			<form method="post" action="%[1]s/session/end"><input name="node" value="/local/x"><input name="session" value="1">
			<button>form</button></form>`, html.EscapeString(page))
	}))
	t.Cleanup(other.Close)
	b.do(chromedp.Navigate(other.URL))
	require.True(t, eval[bool](b, "frames[0].length === 0 && document.querySelector('iframe').contentDocument === null"))
	b.click("form")
	b.shows("cross-origin request")
	b.do(chromedp.Navigate(other.URL))
	b.click("link")
	b.shows("Nothing matches.")
	b.shows("ann")
}
