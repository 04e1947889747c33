package admin_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/admin"
	"tenure/server"
)

func TestClient(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/status", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			http.Error(w, "Access denied", http.StatusUnauthorized)

			return
		}
		_ = json.NewEncoder(w).Encode(server.Status{Nodes: []server.NodeStatus{{Path: "/local/tenure"}}})
	})
	mux.HandleFunc("POST /api/v1/sessions/end", func(w http.ResponseWriter, r *http.Request) {
		var e map[string]any
		_ = json.NewDecoder(r.Body).Decode(&e)
		if r.Header.Get("Content-Type") != "application/json" || e["node"] != "/local/tenure" || e["session"] != 7.0 {
			http.Error(w, "none", http.StatusNotFound)

			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)

	c, err := admin.New(s.URL+"/", "secret", nil)
	require.NoError(t, err)
	status, err := c.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, "/local/tenure", status.Nodes[0].Path)
	require.NoError(t, c.EndSession(t.Context(), "/local/tenure", 7, 0))
	require.ErrorIs(t, c.EndSession(t.Context(), "/local/tenure", 8, 0), admin.ErrNoSession)

	stranger, err := admin.New(s.URL, "", nil)
	require.NoError(t, err)
	_, err = stranger.Status(t.Context())
	require.EqualError(t, err, s.URL+" refuses: Access denied: check the access token and its rights")

	s.Close()
	_, err = c.Status(t.Context())
	require.ErrorContains(t, err, "connection refused")
	for _, address := range []string{"", "localhost:1", "grpc://a:1", "http://", "http://a/b", "http://u:p@a"} {
		_, err := admin.New(address, "", nil)
		require.EqualError(t, err, "is not an address: write e.g. http://localhost:2137", address)
	}
}

// A token goes to another machine only over TLS.
func TestNew_ClearText(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"http://10.0.0.7:8136", "http://locks.example", "http://[2001:db8::1]:1"} {
		_, err := admin.New(address, "secret", nil)
		require.ErrorIs(t, err, admin.ErrClearText, address)
		_, err = admin.New(address, "", nil)
		require.NoError(t, err, address)
	}
	for _, address := range []string{
		"https://10.0.0.7:8136", "http://localhost:1", "http://127.0.0.2:1", "http://[::1]:1",
	} {
		_, err := admin.New(address, "secret", nil)
		require.NoError(t, err, address)
	}
}

// A server may refuse a request of every caller. Then the reason says what to do, and a caller without a token cannot
// correct its token.
func TestClient_Forbidden(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "it has no users: start it with --tokens", http.StatusForbidden)
	}))
	t.Cleanup(s.Close)
	for token, want := range map[string]string{
		"":       " refuses: it has no users: start it with --tokens",
		"secret": " refuses: it has no users: start it with --tokens: check the access token and its rights",
	} {
		c, err := admin.New(s.URL, token, nil)
		require.NoError(t, err)
		_, err = c.Status(t.Context())
		require.EqualError(t, err, s.URL+want)
	}
}
