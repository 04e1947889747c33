//go:build linux

package workers

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure"
	"tenure/internal/relaytest"
)

// When the server is away for less than the session timeout, all tasks keep running.
func TestOutage_ShorterThanTheTimeout(t *testing.T) {
	t.Parallel()
	s := newStage(t, served)
	const tasks = 6
	c := s.newCrew(2, with(Job{Pace: 50 * time.Millisecond}, "--tasks", fmt.Sprint(tasks), "--timeout", long.String())...)
	s.untilRunning(tasks)
	running := s.judge.running()
	s.outage(time.Second)
	place := len(s.lines)
	s.until("all tasks work", func() bool { return len(s.count(place, Works)) == tasks })
	require.Equal(t, running, s.judge.running())
	c.stop()
}

// When the server is away for more than the session timeout, the workers stop their tasks. They run again when the
// server is back, and do not wait for the end of the sessions that were lost.
func TestOutage_LongerThanTheTimeout(t *testing.T) {
	t.Parallel()
	s := newStage(t, served)
	const tasks, timeout = 6, 5 * time.Second
	s.judge.lossy = true
	client, err := tenure.Open(t.Context(), "grpc://"+s.listen+"/local")
	require.NoError(t, err)
	require.NoError(t, client.CreateNode(t.Context(), "/local/tenure", coordination.NodeConfig{
		SessionGracePeriodMillis: uint32(long.Milliseconds()), // for which the server keeps lost sessions
	}))
	require.NoError(t, client.Close(t.Context()))
	c := s.newCrew(2, with(Job{}, "--tasks", fmt.Sprint(tasks), "--timeout", timeout.String())...)
	s.untilRunning(tasks)
	s.server.signal(syscall.SIGKILL)
	<-s.server.exited
	for _, p := range c.workers {
		s.note(Cut, p.name)
	}
	for _, p := range c.workers {
		p.printed("no answer from the server before the session deadline")
	}
	s.until("all tasks have been stopped", func() bool { return len(s.count(0, Ends)) == tasks })
	s.serve()
	back, place := time.Now(), len(s.lines)
	s.until("all tasks run", func() bool { return len(s.count(place, Begins)) == tasks })
	took := time.Since(back)
	t.Logf("all tasks run again %v after the return of the server", took.Round(time.Millisecond))
	require.Less(t, took, soon/3, "the workers have waited for the end of their lost sessions")
	c.stop()
}

// outage kills the server and starts it again after a while.
func (s *stage) outage(away time.Duration) {
	s.t.Helper()
	s.server.signal(syscall.SIGKILL)
	<-s.server.exited
	over := time.Now().Add(away)
	s.until("the outage is over", func() bool { return time.Now().After(over) })
	s.serve()
}

// A worker that is cut off asks its tasks to stop when the lease is in danger, and kills those that need longer than
// the grace period. They are gone before another worker runs them.
func TestOutage_TasksThatStopSlowly(t *testing.T) {
	t.Parallel()
	s := newStage(t, served)
	const tasks, timeout = 2, 5 * time.Second
	s.judge.lossy = true
	relay := relaytest.New(t, s.listen)
	args := with(Job{Pace: 10 * time.Millisecond, Stop: soon}, // longer than the grace period and a pause of the machine
		"--tasks", fmt.Sprint(tasks), "--timeout", timeout.String())
	first := s.start("first", "workers", append(s.at(relay.Address()), args...)...)
	s.untilRunning(tasks)
	s.worker("second", append([]string{"--settle", long.String(), "--verbose"}, args...)...).printed("2 in the pool")

	s.note(Cut, first.name)
	relay.Cut()
	place := len(s.lines)
	s.until("the second worker runs all tasks", func() bool { return len(s.tasksOf("second")) == tasks })
	require.Len(t, s.count(place, Told), tasks)
	last := map[string]Line{}
	for _, l := range s.lines[place:] {
		if l.Worker == first.name && l.Verb != Cut {
			last[l.Task] = l
		}
	}
	for task, l := range last {
		t.Logf("%s: its next owner began %v after the last line of the job, which was %s", task,
			s.judge.tasks[task].begin.At.Sub(l.At).Round(time.Millisecond), l.Verb)
		require.NotEqual(t, Ends, l.Verb, "the job has had no time to end")
	}
	require.Len(t, last, tasks)
}
