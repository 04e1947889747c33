package httpd

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/serverconfig"
	"tenure/server"
)

// client is a client that takes nothing while it is stuck.
type client struct {
	*httptest.ResponseRecorder

	begun chan struct{}
	stuck <-chan struct{} // nil: it is not
}

func (c *client) SetWriteDeadline(time.Time) error { return nil }
func (c *client) SetReadDeadline(time.Time) error  { return nil }

func (c *client) Write(b []byte) (int, error) {
	if c.stuck != nil {
		c.begun <- struct{}{}
		<-c.stuck
	}

	return c.ResponseRecorder.Write(b)
}

// A client that does not read its status does not keep the others from theirs.
func TestStatus_Stuck(t *testing.T) {
	t.Parallel()
	admin := &serverconfig.Admin{}
	srv, err := server.New(func(c *serverconfig.Config) { c.Admin = admin })
	require.NoError(t, err)
	s := New(Config{Server: srv, Admin: admin, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() {
		s.Close(t.Context())
		require.NoError(t, srv.Stop(t.Context()))
	})
	begun, stuck := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stuck)
	request := func(w http.ResponseWriter) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s.status(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/status", http.NoBody))
	}
	wg.Go(func() { request(&client{ResponseRecorder: httptest.NewRecorder(), begun: begun, stuck: stuck}) })
	<-begun
	w := &client{ResponseRecorder: httptest.NewRecorder()}
	request(w)
	require.JSONEq(t, `{"nodes": []}`, w.Body.String(), fmt.Sprint(w.Code))
}
