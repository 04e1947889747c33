//go:build linux

package workers

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure"
)

// A worker is killed just after the server has got a state of its task. The next run finds that state, or a newer one.
// COMMAND does not learn when a state is saved, so the test asks the server.
func TestState_SurvivesAKill(t *testing.T) {
	t.Parallel()
	s := newStage(t, served)
	const kills = 3
	c := s.newCrew(2, with(Job{Pace: 5 * time.Millisecond, Saves: true},
		"--persistent", "--task", "a", "--timeout", long.String())...)
	s.untilRunning(1)
	client, err := tenure.Open(t.Context(), "grpc://"+s.listen+"/local")
	require.NoError(t, err)
	session, err := client.Session(t.Context(), "/local/tenure")
	require.NoError(t, err)
	for range kills {
		start := s.saved(session)
		saved := start
		s.until("the server has a new state", func() bool {
			saved = s.saved(session)

			return saved >= start+3
		})
		place, owner := len(s.lines), s.judge.running()["a"].Worker
		i := slices.IndexFunc(c.workers, func(p *process) bool { return p.name == owner })
		c.workers[i].kill()
		c.workers[i] = c.workers[i].again(c.name())
		s.until("the task runs again", func() bool { return s.count(place, Had)["a"] == 1 })
		for _, l := range s.lines[place:] {
			if l.Verb == Had {
				t.Logf("the server had %d, and the next run finds %d", saved, l.State)
				require.GreaterOrEqual(t, l.State, saved)
			}
		}
	}
	require.NoError(t, client.Close(t.Context()))
	c.stop()
	s.requireBound(bound)
}

// saved returns the number in the state of the task on the server.
func (s *stage) saved(session coordination.Session) int {
	s.t.Helper()
	found, err := session.DescribeSemaphore(s.t.Context(), "a")
	require.NoError(s.t, err)
	if len(found.Data) == 0 {
		return 0
	}
	n, err := strconv.Atoi(string(found.Data))
	require.NoError(s.t, err)

	return n
}
