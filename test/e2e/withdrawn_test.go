package e2e

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/certs/certtest"
)

// A lock whose token is removed says so and stops its COMMAND, also one that ignores signals, before another process
// gets the lock. The server keeps the lock until the session timeout is over (C2, A10).
func TestSecure_Withdrawn(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	srv := newSecure(s)
	id := srv.identities()
	holder := s.startWith(nil, "holder", "lock", srv.lock(`trap "" TERM; while :; do echo works; sleep 0.1; done`,
		append(id["token in a file"].flags, "--timeout", "2s")...)...)
	holder.await(0, soon, "works")
	waiter := s.startWith(nil, "waiter", "lock", srv.lock("echo next", id["certificate"].flags...)...)

	users, err := os.ReadFile(srv.tokensFile)
	require.NoError(t, err)
	_, others, _ := bytes.Cut(users, []byte("\n"))
	certtest.Replace(t, srv.tokensFile, others)
	srv.signal(syscall.SIGHUP) // it would notice within 5 s
	_, place := waiter.await(0, soon, "next")
	require.Equal(t, 123, holder.code())
	waiter.ends()
	require.False(t, s.hasPrinted(place, "holder", "works"))
	require.Contains(t, strings.Join(s.said("holder"), "\n"), "Access was withdrawn: what identified the caller is no "+
		"longer in the server's tokens file, or has expired")
}
