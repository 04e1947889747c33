//go:build linux

package workers

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A worker with a stable name that is killed and started again runs the same tasks again soon. The others keep
// theirs.
func TestName_Kill(t *testing.T) {
	t.Parallel()
	both(t, func(s *stage) {
		const tasks = 6
		args := with(Job{}, "--tasks", fmt.Sprint(tasks), "--capacity", "6", "--timeout", long.String(), "--settle", "100ms")
		a := s.worker("a1", append([]string{"--name", "a"}, args...)...)
		b := s.worker("b1", append([]string{"--name", "b"}, args...)...)
		s.until("each worker has three tasks", func() bool {
			return len(s.tasksOf(a.name)) == 3 && len(s.tasksOf(b.name)) == 3
		})
		had, others := s.tasksOf(a.name), s.tasksOf(b.name)

		place := len(s.lines)
		a.kill()
		killed := time.Now()
		a = a.again("a2")
		s.until("it has its tasks again", func() bool { return slices.Equal(s.tasksOf(a.name), had) })
		t := s.t
		t.Logf("all its tasks ran again %v after the kill", time.Since(killed).Round(time.Millisecond))
		require.Equal(t, others, s.tasksOf(b.name))
		for task, n := range s.count(place, Begins) {
			require.Equal(t, 1, n, task)
		}
		a.signal(syscall.SIGTERM)
		b.signal(syscall.SIGTERM)
		require.Equal(t, 0, a.code())
		require.Equal(t, 0, b.code())
	})
}

// The same is true if no task runs when the worker is killed, so that there is no guard that ends its session.
func TestName_KillWhileNothingRuns(t *testing.T) {
	t.Parallel()
	s := newStage(t, served)
	a := s.worker("a1", with(Job{Short: true, Code: 1}, "--name", "a", "--tasks", "1", "--timeout", long.String())...)
	a.printed("(2 times in a row): running it again in ")
	place := len(s.lines)
	a.kill()
	killed := time.Now()
	a = a.again("a2")
	s.until("the task runs again", func() bool { return len(s.count(place, Begins)) == 1 })
	t.Logf("it runs again %v after the kill, including its pause of about 2s", time.Since(killed).Round(time.Millisecond))
	a.signal(syscall.SIGTERM)
	require.Equal(t, 0, a.code())
}

// A process whose name is in use is refused, on the same machine and on another one.
func TestName_InUse(t *testing.T) {
	t.Parallel()
	for _, place := range []string{"this machine", "another machine"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, served)
			s.judge.lossy = true
			args := with(Job{}, "--name", "a", "--tasks", "1", "--timeout", "2s")
			s.worker("first", args...)
			s.untilRunning(1)
			if place == "another machine" {
				s.home = t.TempDir()
			}
			second := s.worker("second", args...)
			require.Equal(t, 125, second.code())
			lines := strings.Split(strings.TrimSpace(second.stderr()), "\n")
			require.Regexp(t, `^workers: the name of the worker is in use: "a", by .+$`, lines[len(lines)-1])
			require.Equal(t, []string{"job-0"}, s.tasksOf("first"))
		})
	}
}

// When named workers are restarted one after the other, each task is interrupted once.
func TestName_RollingRestart(t *testing.T) {
	t.Parallel()
	s := newStage(t, embedded)
	const tasks, workers = 9, 3
	var crew []*process
	for i := range workers {
		crew = append(crew, s.worker(fmt.Sprint("w", i), with(Job{}, "--name", fmt.Sprint("w", i), "--tasks",
			fmt.Sprint(tasks), "--capacity", fmt.Sprint(tasks), "--timeout", long.String(), "--settle", "100ms")...))
	}
	balanced := func() bool {
		return !slices.ContainsFunc(crew, func(p *process) bool { return len(s.tasksOf(p.name)) != tasks/workers })
	}
	s.until("the tasks are balanced", balanced)
	place := len(s.lines)
	for i, p := range crew {
		p.signal(syscall.SIGTERM)
		require.Equal(t, 0, p.code())
		crew[i] = p.again(p.name + "-again")
		s.until("the tasks are balanced again", balanced)
	}
	starts := s.count(place, Begins)
	require.Len(t, starts, tasks)
	for task, n := range starts {
		require.Equal(t, 1, n, task)
	}
}
