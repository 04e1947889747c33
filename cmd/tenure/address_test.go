package main

import (
	"bytes"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
)

// A server that listens on all addresses prints one that clients can use, not [::].
func TestServe_AddressOfAllInterfaces(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{":0", "0.0.0.0:0", "[::]:0"} {
		t.Run(listen, func(t *testing.T) {
			t.Parallel()
			s := startServing(t, nil, "--listen", listen, "--insecure", "--memory")
			host, _, err := net.SplitHostPort(s.addr)
			require.NoError(t, err)
			require.Nil(t, net.ParseIP(host), s.addr)
			createNode(t, s.client(), "/local/node")
			require.Equal(t, Ydb.StatusIds_SUCCESS, describeNode(t, s.client(), "/local/node"))
		})
	}
}

// The address is the host's name only if that leads to the listener. Otherwise the log says who can use localhost.
func TestReachable(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logged, nil))
	lis, err := net.Listen("tcp", ":0")
	require.NoError(t, err)
	port := strings.TrimPrefix(lis.Addr().String(), "[::]:")
	host, err := os.Hostname()
	require.NoError(t, err)
	address := reachable(t.Context(), lis.Addr(), log)
	if logged.Len() == 0 {
		require.Equal(t, net.JoinHostPort(host, port), address)
	} else {
		require.Equal(t, "localhost:"+port, address) // this machine does not know its own name
	}

	logged.Reset()
	require.NoError(t, lis.Close())
	require.Equal(t, "localhost:"+port, reachable(t.Context(), lis.Addr(), log))
	require.Contains(t, logged.String(), "other machines need its name or address")

	logged.Reset()
	require.Equal(t, "192.0.2.1:7", reachable(t.Context(), &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7}, log))
	require.Empty(t, logged.String())
}
