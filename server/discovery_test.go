package server

import (
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Discovery"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/testing/protocmp"

	"tenure/internal/peercred"
	"tenure/internal/serverconfig"
)

// D1: the address is the one that the client has used.
func TestEndpoint(t *testing.T) {
	t.Parallel()
	local := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 3), Port: 2136}
	for name, tc := range map[string]struct {
		authority string
		local     net.Addr
		auth      credentials.AuthInfo
		advertise string
		address   string
		port      uint32
		ssl       bool
	}{
		"name":                        {authority: "db.example:2135", local: local, address: "db.example", port: 2135},
		"IPv4":                        {authority: "127.0.0.1:1", local: local, address: "127.0.0.1", port: 1},
		"IPv6":                        {authority: "[::1]:65535", local: local, address: "::1", port: 65535},
		"IPv6 with a zone":            {authority: "[fe80::1%eth0]:7", local: local, address: "fe80::1%eth0", port: 7},
		"no port":                     {authority: "localhost", local: local, address: "10.0.0.3", port: 2136},
		"port 0":                      {authority: "localhost:0", local: local, address: "10.0.0.3", port: 2136},
		"port too high":               {authority: "localhost:65536", local: local, address: "10.0.0.3", port: 2136},
		"port by name":                {authority: "localhost:http", local: local, address: "10.0.0.3", port: 2136},
		"no host":                     {authority: ":2136", local: local, address: "10.0.0.3", port: 2136},
		"no authority":                {local: local, address: "10.0.0.3", port: 2136},
		"no authority, IPv6 listener": {local: &net.TCPAddr{IP: net.IPv6loopback, Port: 9}, address: "::1", port: 9},
		"Unix socket":                 {authority: "localhost", local: &net.UnixAddr{Name: "/run/tenure", Net: "unix"}},
		"TLS": {
			authority: "db:443", local: local, auth: credentials.TLSInfo{}, address: "db", port: 443, ssl: true,
		},
		"advertised": {
			authority: "10.0.0.3:2136", local: local, auth: insecureInfo(t), advertise: "grpcs://locks.example:443",
			address: "locks.example", port: 443, ssl: true,
		},
		"advertised without TLS": {
			authority: "db:443", local: local, auth: credentials.TLSInfo{}, advertise: "grpc://[fd00::1]:2136",
			address: "fd00::1", port: 2136,
		},
		"advertised, but on a Unix socket": {
			authority: "localhost:1", local: &net.UnixAddr{Name: "/run/tenure", Net: "unix"}, auth: peercred.Info{},
			advertise: "grpcs://locks.example:443", address: "localhost", port: 1,
		},
		"no TLS": {authority: "db:80", local: local, auth: insecureInfo(t), address: "db", port: 80},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := peer.NewContext(t.Context(), &peer.Peer{LocalAddr: tc.local, AuthInfo: tc.auth})
			c := &serverconfig.Config{}
			if tc.advertise != "" {
				c.Advertise = &tc.advertise
			}
			advertised, err := parseAdvertise(c)
			require.NoError(t, err)
			if tc.authority != "" {
				ctx = metadata.NewIncomingContext(ctx, metadata.Pairs(":authority", tc.authority))
			}
			require.Empty(t, cmp.Diff(&Ydb_Discovery.EndpointInfo{
				Address: tc.address, Port: tc.port, Ssl: tc.ssl,
				Service: []string{"coordination", "discovery", "scheme"}, Location: "local", NodeId: 1,
			}, endpoint(ctx, advertised), protocmp.Transform()))
		})
	}
}

// insecureInfo is the AuthInfo of a connection without TLS.
func insecureInfo(t *testing.T) credentials.AuthInfo {
	t.Helper()
	_, info, err := insecure.NewCredentials().ServerHandshake(nil)
	require.NoError(t, err)

	return info
}

func TestEndpoint_NothingKnown(t *testing.T) {
	t.Parallel()
	require.Zero(t, endpoint(t.Context(), nil).GetPort())
}
