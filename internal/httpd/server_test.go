package httpd_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/access"
	"tenure/internal/httpd"
	"tenure/internal/serverconfig"
	"tenure/server"
)

// serve starts a server and an HTTP server on a loopback address, and returns its URL. If local is false, the HTTP
// server believes that other machines can reach it.
func serve(t *testing.T, local bool, opts ...server.Option) (*serverconfig.Admin, string) {
	t.Helper()

	return serveLogged(t, local, slog.New(slog.DiscardHandler), opts...)
}

// serveLogged is like serve, with a log.
func serveLogged(
	t *testing.T, local bool, log *slog.Logger, opts ...server.Option,
) (*serverconfig.Admin, string) {
	t.Helper()
	admin := &serverconfig.Admin{Count: true}
	srv, err := server.New(append(opts, func(c *serverconfig.Config) { c.Admin = admin })...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, srv.Stop(t.Context())) })
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	h := httpd.New(httpd.Config{
		Server: srv, Admin: admin, Version: "v1", Users: len(opts) > 0, Local: local, Semaphores: "*",
		Names: []string{"own.example"}, Logger: log,
	})
	done := make(chan error, 1)
	go func() { done <- h.Serve(lis) }()
	t.Cleanup(func() {
		h.Close(t.Context())
		require.NoError(t, <-done)
	})

	return admin, "http://" + lis.Addr().String()
}

// call makes a request and returns the status and the body of the answer.
func call(t *testing.T, method, url, body string, headers ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)

	return resp.StatusCode, string(text)
}

func TestServer_Local(t *testing.T) {
	t.Parallel()
	admin, url := serve(t, true)
	status, body := call(t, "GET", url+"/healthz", "")
	require.Equal(t, 200, status)
	require.Equal(t, "ok\n", body)
	status, _ = call(t, "GET", url+"/readyz", "")
	require.Equal(t, 200, status)
	status, body = call(t, "GET", url+"/api/v1/status", "")
	require.Equal(t, 200, status)
	require.JSONEq(t, `{"nodes": []}`, body)
	status, body = call(t, "GET", url+"/metrics", "")
	require.Equal(t, 200, status)
	require.Contains(t, body, "\ntenure_ready 1\n")
	require.Contains(t, body, `tenure_build_info{goversion="go1.`)

	status, body = call(t, "GET", url+"/healthz", "", "Host", "evil.example")
	require.Equal(t, 421, status, "DNS rebinding")
	require.Contains(t, body, "use http://localhost")
	for _, name := range []string{"localhost", "localhost:80", "127.0.0.1", "[::1]:80", "LOCALHOST."} {
		status, _ = call(t, "GET", url+"/healthz", "", "Host", name)
		require.Equal(t, 200, status, name)
	}

	end := func(body string, headers ...string) (int, string) {
		return call(t, "POST", url+"/api/v1/sessions/end", body, headers...)
	}
	for _, bad := range []string{"", "{}", `{"node": "/local/x"}`, `{"node": "/local/x", "session": 1, "x": 2}`, "[1"} {
		status, body = end(bad, "Content-Type", "application/json")
		require.Equal(t, 400, status, bad)
		require.Contains(t, body, "the body must be like")
	}
	const session = `{"node": "/local/x", "session": 1}`
	status, body = end(session, "Content-Type", "application/json")
	require.Equal(t, 404, status)
	require.Contains(t, body, "there is no such coordination node")
	status, _ = end(session, "Content-Type", "text/plain")
	require.Equal(t, 415, status, "a form of another page can send it")
	status, _ = end(session, "Content-Type", "application/json", "Sec-Fetch-Site", "cross-site")
	require.Equal(t, 403, status)

	for _, path := range []string{"/metrics", "/api/v1/status", "/api/v1/backup"} {
		for _, site := range []string{"cross-site", "same-site", "same-origin", "none"} {
			status, body = call(t, "GET", url+path, "", "Sec-Fetch-Site", site)
			require.Equal(t, path == "/api/v1/backup" || strings.HasSuffix(site, "-site"), status == 403, path+site+body)
		}
	}

	admin.Drain()
	status, body = call(t, "GET", url+"/readyz", "")
	require.Equal(t, 503, status)
	require.Equal(t, "the server is stopping\n", body)
	status, _ = call(t, "GET", url+"/healthz", "")
	require.Equal(t, 200, status)
}

// From other machines, everything needs a token with the right to list, and ending a session needs all rights.
func TestServer_Remote(t *testing.T) {
	t.Parallel()
	lister, listing := access.NewToken()
	reader, reading := access.NewToken()
	root, all := access.NewToken()
	elsewhere, other := access.NewToken()
	tokens := fmt.Sprintf("user l token=%s\nuser r token=%s\nuser e token=%s\nuser v token=%s\n",
		listing, all, other, reading) +
		"grant l /local list\ngrant v /local list read\ngrant r /local full\ngrant e /local/dir full\n"
	file := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(file, []byte(tokens), 0o600))
	_, url := serve(t, false, server.WithTokensFile(file))
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/api/v1/status"} {
		status, _ := call(t, "GET", url+path, "")
		require.Equal(t, 401, status, path)
		status, _ = call(t, "GET", url+path, "", "Authorization", "Bearer wrong")
		require.Equal(t, 401, status, path)
		status, _ = call(t, "GET", url+path, "", "Authorization", "Bearer "+elsewhere)
		require.Equal(t, 403, status, path)
		status, _ = call(t, "GET", url+path, "", "Authorization", "Bearer "+reader)
		require.Equal(t, 200, status, path)
		status, _ = call(t, "GET", url+path, "", "Authorization", "Bearer "+lister)
		require.Equal(t, path != "/api/v1/status", status == 200, "it has the data of owners, like a describe")
	}
	status, body := call(t, "POST", url+"/api/v1/sessions/end", "{}", "Authorization", "Bearer "+lister)
	require.Equal(t, 403, status, body)
	require.Contains(t, body, "lacks a right on /local: this needs ydb.generic.full", "it names the right")
	status, _ = call(t, "POST", url+"/api/v1/sessions/end", "{}", "Authorization", "Bearer "+root,
		"Content-Type", "application/json")
	require.Equal(t, 400, status)
}

// A server that was restored from a backup is ready, and says until when it grants nothing.
func TestServer_ReadyAfterARestore(t *testing.T) {
	t.Parallel()
	admin, url := serve(t, true)
	admin.GrantsFrom = func() time.Time { return time.Unix(1_800_000_000, 0).UTC() }
	status, body := call(t, "GET", url+"/readyz", "")
	require.Equal(t, 200, status)
	require.Equal(t, "ok: restored from a backup: nothing is granted until 2027-01-15T08:00:00Z\n", body)
	_, body = call(t, "GET", url+"/healthz", "")
	require.Equal(t, "ok\n", body)
	_, body = call(t, "GET", url+"/metrics", "")
	require.Contains(t, body, "\ntenure_restore_wait_seconds 0\n")
}
