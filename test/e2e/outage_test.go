package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// again is how soon after the return of the server work must run again. It takes a few hundred milliseconds on an idle
// machine. After a restart, the server would keep the sessions that were lost for their timeout and the grace period,
// which is twice as long.
const again = 30 * time.Second

// A lock and workers that lose the server for longer than the session timeout report why they have no session, whether
// they hold something or wait for it. When the server is back, they run again without waiting for the end of the
// sessions that they have lost.
func TestOutage_IsReportedWithItsReason(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		end, start func(srv *server)
		reason     string
	}{
		"killed": {
			func(srv *server) { srv.kill() }, func(srv *server) { srv.begin() },
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
			srv.setGrace(2 * again)
			const timeout = "2s"
			holder := lockCrew(srv, 1, 2*time.Second).members["lock-1"]
			_, place := holder.await(0, soon, working)
			waiter := srv.under("waiter", begin+finish, "-timeout", timeout)
			srv.next(waiter, place, "the crew")
			pool := workersCrew(srv, 1, 2*time.Second).members["workers-1"]
			s.share(1 + capacity) // the lock and the tasks

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

			test.start(srv)
			back, place := time.Now(), s.mark()
			s.await(place, again, "the lock is acquired")
			s.until("a task starts", again, func(lines []line) bool {
				for _, l := range lines[place:] {
					if l.who == pool.name && strings.HasPrefix(l.text, "worker job-") && strings.HasSuffix(l.text, ": starting") {
						return true
					}
				}

				return false
			})
			t.Logf("all work runs again %v after the return of the server", time.Since(back))
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
	p := srv.under("lock", begin, "--connect-timeout", "4s")
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
