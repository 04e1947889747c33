package e2e

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/certs/certtest"
)

// withdraw removes the first user from the tokens file. It returns a function that puts the user back.
func (s *secure) withdraw() (restore func()) {
	s.stage.t.Helper()
	users, err := os.ReadFile(s.tokensFile)
	require.NoError(s.stage.t, err)
	_, others, _ := bytes.Cut(users, []byte("\n"))
	replace := func(content []byte) {
		certtest.Replace(s.stage.t, s.tokensFile, content)
		s.signal(syscall.SIGHUP) // it would notice within 5 s
	}
	replace(others)

	return func() { replace(users) }
}

// A lock whose token is removed keeps its lease until the deadline, and the server keeps the lock for as long. Before
// that, COMMAND gets the signal, or KILL if it ignores the signal, as if the server were away. The reason is that the
// server refuses (C2, A10).
func TestSecure_Withdrawn(t *testing.T) {
	t.Parallel()
	const timeout = 4 * time.Second
	const refusal = "the server refuses to continue the session: attach to node \"" + node +
		"\": Could not find correct token validator: check the credentials"
	for name, c := range map[string]struct{ trap, last string }{
		"obedient": {`trap "echo signalled; exit 3" TERM`, "signalled"},
		"stubborn": {`trap "" TERM`, "lock: killing COMMAND: it did not end within 1s of SIGTERM"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			srv := newSecure(s)
			id := srv.identities()
			holder := s.startWith(nil, "holder", "lock", srv.lock(c.trap+`; while :; do echo works; sleep 0.1; done`,
				append(id["token in a file"].flags, "--timeout", timeout.String())...)...)
			_, place := holder.await(0, soon, "works")
			waiter := s.startWith(nil, "waiter", "lock", srv.lock("echo next", id["certificate"].flags...)...)

			withdrawn := time.Now()
			srv.withdraw()
			asked, _ := holder.await(place, soon, "lock: the lease may be granted to someone else in 1s, because "+
				refusal+": stopping COMMAND")
			holder.await(place, soon, c.last, "lock: killing COMMAND: "+refusal) // falls on the same instant
			require.Greater(t, asked.at.Sub(withdrawn), timeout/4)
			require.Equal(t, 123, holder.code())
			_, place = waiter.await(0, soon, "next")
			waiter.ends()
			require.False(t, s.hasPrinted(place, "holder", "works"))
		})
	}
}

// If a token is back before the lease is in danger, the holder says that the server has refused it, and COMMAND is not
// disturbed.
func TestSecure_WithdrawnByMistake(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	srv := newSecure(s)
	holder := s.startWith(nil, "holder", "lock", srv.lock(
		`trap "exit 3" TERM; while read -r line <&"$TENURE_FD"; do echo ${line%%-*}; done`,
		append(srv.identities()["token in a file"].flags, "--timeout", "20s")...)...)
	renewed := fmt.Sprint(time.Now().Year())
	_, place := holder.await(0, soon, renewed)

	restore := srv.withdraw()
	s.until("the server refuses the holder", soon, func(lines []line) bool {
		return slices.ContainsFunc(lines[place:], func(l line) bool { return strings.Contains(l.text, "caller refused") })
	})
	at := time.Now()
	restore()
	s.until("the lease is renewed", soon, printed(place, at, "holder", renewed))
	holder.terminate()
	require.Equal(t, 3, holder.code())
	for _, text := range s.said("holder") {
		if !strings.HasPrefix(text, "lock: the server refuses to continue the session: ") {
			require.Contains(t, []string{
				renewed, "lock: the server continues the session", "lock: terminated: stopping COMMAND",
			}, text)
		}
	}
}
