//go:build linux

package workers

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TERM drains a worker: each task is asked to stop and has time to do so, and moves as soon as it has ended.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := newStage(t, embedded)
	args := with(Job{Stop: 10 * time.Second, SlowOne: "job-0"}, "--tasks", "4", "--timeout", long.String())
	first := s.worker("first", args...)
	s.untilRunning(4)
	second := s.worker("second", append([]string{"--settle", long.String(), "--verbose"}, args...)...)
	second.printed("2 in the pool")

	first.signal(syscall.SIGTERM)
	s.until("three tasks have moved", func() bool { return len(s.tasksOf(second.name)) == 3 })
	require.Equal(t, []string{"job-0"}, s.tasksOf(first.name), "the slow task still runs")
	require.Equal(t, 0, first.code())
	s.until("all tasks have moved", func() bool { return len(s.tasksOf(second.name)) == 4 })
	require.Equal(t, map[string]int{"job-0": 1, "job-1": 1, "job-2": 1, "job-3": 1}, s.count(0, Told))
	require.Equal(t, s.count(0, Told), s.count(0, Ends))
}

// A task that does not stop in time is killed, and the exit code says so.
func TestDrain_TimeIsUp(t *testing.T) {
	t.Parallel()
	s := newStage(t, embedded)
	p := s.worker("w", with(Job{Stubborn: true}, "--tasks", "2", "--drain", "500ms", "--timeout", long.String())...)
	s.untilRunning(2)
	s.note(Cut, p.name)
	p.signal(syscall.SIGTERM)
	require.Equal(t, 123, p.code(), p.stderr())
	s.requireDead(p)
}

// A second TERM stops all tasks immediately.
func TestDrain_SecondSignal(t *testing.T) {
	t.Parallel()
	s := newStage(t, embedded)
	p := s.worker("w", with(Job{Stop: long}, "--tasks", "2", "--drain", long.String(), "--timeout", long.String())...)
	s.untilRunning(2)
	p.signal(syscall.SIGTERM)
	s.until("both tasks were asked to stop", func() bool { return len(s.count(0, Told)) == 2 })
	place := len(s.lines)
	s.until("both tasks still work", func() bool { return len(s.count(place, Works)) == 2 })
	s.note(Cut, p.name)
	asked := time.Now()
	s.until("the signal does not count as the same", func() bool { return time.Since(asked) > 500*time.Millisecond })
	p.signal(syscall.SIGTERM)
	again := time.Now()
	require.Equal(t, 123, p.code(), p.stderr())
	t.Logf("ended %v after the second signal", time.Since(again).Round(time.Millisecond))
	s.requireDead(p)
}

// requireDead requires that all jobs of the worker are dead.
func (s *stage) requireDead(p *process) {
	s.t.Helper()
	for _, l := range s.lines {
		if l.Verb == Begins && l.Worker == p.name {
			require.ErrorIs(s.t, syscall.Kill(l.PID, 0), syscall.ESRCH, l)
		}
	}
}
