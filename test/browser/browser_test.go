package browser

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// limit is the time for one step in the browser. It ends a test that would hang.
const limit = 30 * time.Second

// A tab is a tab of a browser. Everything that it writes to its console is an error.
type tab struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // it is the tab

	mu       sync.Mutex
	messages []string
}

// browser is Chromium with an empty profile. TestMain starts and ends it.
var browser context.Context

// startBrowser starts Chromium. It returns the context of its first tab, and a function that ends it.
func startBrowser(path, dir string) (context.Context, func(), error) {
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(filepath.Join(dir, "profile")), chromedp.Env("HOME=" + dir),
	}
	for _, flag := range []string{
		"headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
		"disable-component-update", "disable-sync",
	} {
		options = append(options, chromedp.Flag(flag, true))
	}
	parent, end := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(parent) // Cancel ends it

	return ctx, func() { _ = chromedp.Cancel(ctx); end() }, chromedp.Do(ctx, chromedp.Navigate("about:blank"))
}

// newTab opens a tab.
func newTab(t *testing.T) *tab {
	t.Helper()
	if browser == nil {
		t.Skip("there is no chromium: install the package chromium")
	}
	ctx, cancel := chromedp.NewContext(browser)
	b := &tab{t: t, ctx: ctx}
	messages := chromedp.Console(ctx)
	done := make(chan struct{})
	go func() { // ends with the tab
		defer close(done)
		for m, err := range messages {
			if err != nil {
				return
			}
			b.mu.Lock()
			b.messages = append(b.messages, m.String()+" "+m.URL)
			b.mu.Unlock()
		}
	}()
	t.Cleanup(func() { cancel(); <-done })

	return b
}

// quiet requires that the tab has written nothing to its console, such as violations of the security policy.
func (b *tab) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.messages)
}

// do runs steps.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, steps...))
}

// run returns the value of an action.
func run[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	require.NoError(b.t, err)

	return value
}

// eval returns the value of an expression in the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()

	return run(b, chromedp.Evaluate[T](expression))
}

// until waits until the expression is true. The tab may go to another page meanwhile.
func (b *tab) until(expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		if ok {
			return
		}
		if ctx.Err() != nil {
			b.t.Fatalf("not within %v: %s: %v; the page is:\n%s", limit, expression, err,
				eval[string](b, "document.body.innerText"))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// shows waits until the page contains the text.
func (b *tab) shows(text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("document.body?.innerText.includes(%q) === true", text))
}

// click clicks on the first link or button with the text, and waits for the page that it leads to.
func (b *tab) click(text string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	click := chromedp.Evaluate[bool](fmt.Sprintf(
		`[...document.querySelectorAll("a, button")].find(e => e.textContent.includes(%q)).click(), true`, text))
	_, err := chromedp.RunResponse(ctx, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := click(ctx, t)

		return err
	}))
	require.NoError(b.t, err, text)
}

// binary is the path of tenure, which TestMain builds.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "browser")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)

		return 1
	}
	defer os.RemoveAll(dir)
	path, err := exec.LookPath("chromium")
	if err != nil {
		return m.Run() // which skips the tests
	}
	ctx, end, err := startBrowser(path, dir)
	defer end()
	browser = ctx //nolint:fatcontext // there is one browser for all tests
	if err != nil {
		fmt.Fprintln(os.Stderr, "start chromium:", err)

		return 1
	}
	binary = filepath.Join(dir, "tenure")
	build := exec.Command("go", "build", "-o", binary, "./cmd/tenure")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build tenure: %v\n%s", err, out)

		return 1
	}

	return m.Run()
}

// start starts tenure, which ends with the test.
func start(t *testing.T, out *os.File, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "TENURE_CONFIG=/dev/null", "XDG_STATE_HOME="+t.TempDir())
	cmd.Stdout, cmd.Stderr = out, out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { stop(cmd) })

	return cmd
}

// stop asks a process to end, and waits for it.
func stop(cmd *exec.Cmd) {
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Wait() // stop may be called twice
}

var (
	pageAddress = regexp.MustCompile(`msg="serving HTTP" address=(\S+)`)
	serverDSN   = regexp.MustCompile(`tenure: serving (\S+),`)
)

// serve starts a server, and returns the addresses of its page and of its database.
func serve(t *testing.T, args ...string) (page, dsn string) {
	t.Helper()
	logs, out, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = logs.Close() }) // after the server has ended
	start(t, out, append([]string{
		"serve", "--memory", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0",
		"--audit", filepath.Join(t.TempDir(), "audit.log"),
	}, args...)...)
	require.NoError(t, out.Close())
	lines := bufio.NewScanner(logs)
	for (page == "" || dsn == "") && lines.Scan() {
		if m := pageAddress.FindStringSubmatch(lines.Text()); m != nil {
			page = m[1]
		}
		if m := serverDSN.FindStringSubmatch(lines.Text()); m != nil {
			dsn = m[1]
		}
	}
	require.NotEmpty(t, page)
	require.NotEmpty(t, dsn)
	go func() { _, _ = io.Copy(io.Discard, logs) }() // ends with the server

	return page, dsn
}

// lock starts a process that holds the lock, or waits for it.
func lock(t *testing.T, dsn, name, data string) *exec.Cmd {
	t.Helper()

	return start(t, nil, "lock", "--ydb", dsn, "--data", data, name)
}
