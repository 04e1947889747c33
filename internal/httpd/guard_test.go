package httpd_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/access"
	"tenure/internal/audit"
	"tenure/internal/serverconfig"
	"tenure/server"
)

// audited starts a server with an audit log and a log. The returned function ends the audit log, and returns its
// events in short, without the peers and the times.
func audited(t *testing.T, local bool, log *slog.Logger, opts ...server.Option) (
	admin *serverconfig.Admin, url string, events func() []string,
) {
	t.Helper()
	var text bytes.Buffer
	trail, err := audit.Open(audit.Config{Writer: &text})
	require.NoError(t, err)
	all := append([]server.Option{func(c *serverconfig.Config) { c.Audit, c.Logger = trail, log }}, opts...)
	admin, url = serveLogged(t, local, log, all...)

	return admin, url, func() (events []string) {
		require.NoError(t, trail.Close())
		for line := range strings.Lines(text.String()) {
			var e audit.Event
			require.NoError(t, json.Unmarshal([]byte(line), &e))
			if e.Kind != audit.Start {
				require.Equal(t, "127.0.0.1", e.Peer, line)
				events = append(events, strings.Join(strings.Fields(fmt.Sprint(e.Kind, " ", e.User, " ", e.Node, " ", e.Who, " ",
					e.Reason)), " "))
			}
		}

		return events
	}
}

// A web page of somebody else can make its own name lead to an address without users. That name is refused.
func TestGuard_Names(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(file, []byte("user u peer=uid:1\n"), 0o600))
	_, url, events := audited(t, false, slog.New(slog.DiscardHandler), server.WithTokensFile(file))
	_, open := serve(t, false)
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST.:80": 200, "127.0.0.1:80": 200, "[::1]": 200, "10.0.0.7": 200, "[fd00::1]:8136": 200,
		"own.example:8136": 200, "Own.Example.": 200, "own.example.evil.example": 421, "evil.example": 421, "x": 421,
		"localhost.evil.example": 421, "10.0.0.7.evil.example": 421, "own.example:80:80": 421,
	} {
		for _, path := range []string{"/metrics", "/healthz", "/api/v1/status", "/", "/live/none"} {
			status, body := call(t, "GET", open+path, "", "Host", host)
			if want == 200 && path == "/live/none" {
				want = 404
			}
			require.Equal(t, want, status, "%s %s %s", host, path, body)
			if want == 421 {
				require.Contains(t, body, "is not a name of this server: use its IP address")
				require.Equal(t, 1, strings.Count(body, "\n"))
			}
		}
	}
	status, _ := call(t, "GET", url+"/metrics", "", "Host", "evil.example")
	require.Equal(t, 401, status, "with users, a page needs a token")
	require.Equal(t, []string{"denied nothing nothing_shown"}, events())
}

// What is refused over HTTP is counted and reported as over gRPC, with the address.
func TestGuard_Reports(t *testing.T) {
	t.Parallel()
	lister, listing := access.NewToken()
	root, all := access.NewToken()
	tokens := fmt.Sprintf("user l token=%s\nuser r token=%s\ngrant l /local list\ngrant r /local full\n", listing, all)
	file := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(file, []byte(tokens), 0o600))
	var log bytes.Buffer
	admin, url, events := audited(t, true, slog.New(slog.NewTextHandler(&log, nil)), server.WithTokensFile(file))
	bearer := func(path, token string) int {
		status, _ := call(t, "GET", url+path, "", "Authorization", "Bearer "+token)

		return status
	}
	for range 3 {
		require.Equal(t, 403, bearer("/api/v1/status", lister))
		require.Equal(t, 401, bearer("/api/v1/status", "wrong"))
	}
	require.Equal(t, 200, bearer("/api/v1/backup", root))
	long := strings.Repeat("x", 10_000)
	status, _ := call(t, "GET", url+"/healthz", "", "Host", long)
	require.Equal(t, 421, status)
	status, _ = call(t, "GET", url+"/metrics", "", "Sec-Fetch-Site", "cross-site", "Origin", "http://evil.example\tx")
	require.Equal(t, 403, status)
	status, _ = call(t, "POST", url+"/login", "", "Sec-Fetch-Site", "cross-site", "Origin", "http://evil.example")
	require.Equal(t, 403, status)

	b := newBrowser(t, url)
	require.Equal(t, 403, b.post("/login", "secret", lister).status) // it may not see the page
	require.Equal(t, map[string]uint64{
		"rights": 4, "unknown_token": 3, "host_name": 1, "other_page": 2,
	}, admin.Stats(t.Context()).Denials)
	require.Equal(t, []string{
		"denied l /local needs ydb.generic.read",
		"denied token 8810ad58 unknown_token",
		"backup r",
		"denied " + long[:120] + " host_name",
		"denied http://evil.example x other_page",
		"denied http://evil.example other_page",
	}, events())
	require.Contains(t, log.String(), "msg=\"sent a backup\" user=r address=127.0.0.1:")
	for line := range strings.Lines(log.String()) {
		require.Less(t, len(line), 600)
	}
}
