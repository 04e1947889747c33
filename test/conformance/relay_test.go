package conformance_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/relaytest"
)

// relay is a network between clients and a server that can fail on command. Clients stay on it after discovery, because
// the server returns the address at which the client reached it (D1).
type relay struct {
	*relaytest.Relay

	scheme string // of the server's DSN
}

func newRelay(t *testing.T, srv service) *relay {
	t.Helper()
	dsn, err := url.Parse(srv.DSN())
	require.NoError(t, err)

	return &relay{relaytest.New(t, dsn.Host), dsn.Scheme}
}

func (r *relay) dsn() string { return r.scheme + "://" + r.Address() + "/local" }
