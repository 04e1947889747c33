package httpd_test

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Connections without a request cannot use up the files of the process: each new one takes the place of the oldest one.
func TestServer_Connections(t *testing.T) {
	t.Parallel()
	const room, more = 192, 8
	admin, url := serve(t, true)
	var all []net.Conn
	for range room + more {
		var d net.Dialer
		c, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
		require.NoError(t, err)
		defer c.Close()
		all = append(all, c)
	}
	status, _ := call(t, "GET", url+"/healthz", "")
	require.Equal(t, 200, status)
	require.GreaterOrEqual(t, admin.Stats(t.Context()).Limits["http_connections"], uint64(more))
	for _, c := range all[:more] {
		_, err := c.Read(make([]byte, 1))
		require.Error(t, err)
	}
}
