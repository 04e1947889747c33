package httpd

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/access"
	"tenure/internal/bubbletest"
	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/serverconfig"
	"tenure/internal/store"
	"tenure/internal/store/memstore"
	"tenure/server"
)

// pipes is a listener for connections in memory, whose time limits are in virtual time.
type pipes struct {
	conns  chan net.Conn
	closed context.Context
	close  context.CancelFunc
}

func newPipes() *pipes {
	p := &pipes{conns: make(chan net.Conn)}
	p.closed, p.close = context.WithCancel(context.Background())

	return p
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed.Done():
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.close(); return nil }

func (*pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// get sends a request and returns the connection.
func (p *pipes) get(t *testing.T, path string) net.Conn {
	t.Helper()
	client, conn := net.Pipe()
	t.Cleanup(func() { _ = client.Close() })
	p.conns <- conn
	_, err := io.WriteString(client, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n\r\n")
	require.NoError(t, err)

	return client
}

func status(t *testing.T, c net.Conn) int {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.NoError(t, c.Close())

	return resp.StatusCode
}

// A client that stops reading a backup loses it after a while. Until then, the server commits and serves others.
func TestBackup_Stalled(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		admin, records := &serverconfig.Admin{}, memstore.New()
		changes := make([]node.Record, 0, 100)
		for i := range cap(changes) {
			changes = append(changes, node.Record{Key: []byte{byte(i)}, Value: []byte(strings.Repeat("x", 10_000))})
		}
		srv, err := server.New(func(c *serverconfig.Config) { c.Admin, c.Store, c.Clock = admin, records, clock.Go() })
		require.NoError(t, err)
		require.NoError(t, records.Commit(t.Context(), store.Batch{Space: 1, Changes: changes}))
		admin.Allow = func(string, access.Rights, net.Addr) (string, error) { return "", nil }
		admin.Still = func(string, access.Rights) bool { return true }
		s := New(Config{Server: srv, Admin: admin, Users: true, Local: true, Logger: slog.New(slog.DiscardHandler)})
		lis := newPipes()
		done := make(chan error, 1)
		go func() { done <- s.Serve(lis) }()

		began := time.Now()
		stalled := lis.get(t, "/api/v1/backup")
		_, err = io.ReadFull(stalled, make([]byte, 1000))
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, records.Commit(t.Context(), store.Batch{Space: 2, Changes: changes}))
		require.Equal(t, 200, status(t, lis.get(t, "/api/v1/status")))
		require.Equal(t, 409, status(t, lis.get(t, "/api/v1/backup")))
		time.Sleep(29 * time.Second)
		require.Len(t, s.backing, 1)
		s.backing <- struct{}{} // when the backup has ended
		require.Equal(t, 30*time.Second, time.Since(began))
		<-s.backing
		require.Equal(t, 200, status(t, lis.get(t, "/api/v1/backup")))

		s.Close(t.Context())
		require.NoError(t, <-done)
		require.NoError(t, srv.Stop(t.Context()))
	})
}
