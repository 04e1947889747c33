package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A lock and workers that lose the server report why they have no session, whether they hold something or wait for it.
func TestOutage_IsReportedWithItsReason(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		end, start func(srv *server)
		reason     string
	}{
		"killed": {
			func(srv *server) { srv.kill() }, (*server).begin,
			"cannot connect to the server (", // and the address, and why
		},
		"suspended": {
			func(srv *server) { srv.signal(syscall.SIGSTOP) }, func(srv *server) { srv.signal(syscall.SIGCONT) },
			"no answer from the server: check that it runs and can be reached",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			srv := newServer(s)
			const timeout = "2s"
			holder := lockCrew(srv, 1, 2*time.Second).members["lock-1"]
			_, place := holder.await(0, soon, working)
			waiter := srv.under("waiter", begin+finish, "-timeout", timeout)
			waiter.await(place, soon, waitsFor("the crew", 0))
			pool := workersCrew(srv, 1, 2*time.Second).members["workers-1"]

			place = s.mark()
			test.end(srv)
			for who, command := range map[*process]string{holder: "lock", waiter: "lock", pool: "workers"} {
				s.until(who.name+" reports the outage", soon, func(lines []line) bool {
					for _, l := range lines[place:] {
						var seconds int
						n, _ := fmt.Sscanf(l.text, command+": no session for %ds, still trying: ", &seconds)
						if l.who == who.name && n == 1 && strings.Contains(l.text, test.reason) {
							return true
						}
					}

					return false
				})
			}

			// When the server is back, each of them continues.
			test.start(srv)
			holder.stop()
			waiter.ends()
			pool.stop()
			require.NotEmpty(t, s.tokens())
		})
	}
}

// A server that is suspended before the first connection is reported before the attempt ends.
func TestOutage_BeforeTheFirstConnection(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	srv := newServer(s)
	srv.signal(syscall.SIGSTOP)
	place := s.mark()
	p := srv.under("lock", begin)
	s.until("lock reports the server", soon, func(lines []line) bool {
		for _, l := range lines[place:] {
			if strings.HasPrefix(l.text, "lock: no answer from "+srv.listen+" yet: giving up after ") {
				return true
			}
		}

		return false
	})
	require.Equal(t, 125, p.code())
	srv.signal(syscall.SIGCONT)
}
