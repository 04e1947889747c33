//go:build linux

package workers

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// table is what workers --status prints.
type table struct {
	Tasks []struct {
		Task   string `json:"task"`
		State  string `json:"state"`
		Worker string `json:"worker"`
		Token  uint64 `json:"token"`
	} `json:"tasks"`
}

// status returns what workers --status prints about these tasks.
func (s *stage) status(flags ...string) (found table) {
	s.t.Helper()
	p := s.worker("status", append(flags, "--status", "-o", "json")...)
	require.Equal(s.t, 0, p.code(), p.stderr())
	text, err := os.ReadFile(filepath.Join(s.dir, "status.stdout"))
	require.NoError(s.t, err)
	require.NoError(s.t, json.Unmarshal(text, &found))

	return found
}

// reported returns how often workers have reported that a task is done by a job of theirs.
func (s *stage) reported() map[string]int {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "w*.stderr"))
	require.NoError(s.t, err)
	done := map[string]int{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		require.NoError(s.t, err)
		for line := range strings.Lines(string(text)) {
			var e struct {
				Event, Task string
				Here        bool
			}
			if json.Unmarshal([]byte(line), &e) == nil && e.Event == "done" && e.Here {
				done[e.Task]++
			}
		}
	}

	return done
}

// Workers share a batch of short tasks, and some of the workers are killed and started again. Each task is recorded
// once, none is lost, and none runs again after it was recorded.
func TestBatch(t *testing.T) {
	t.Parallel()
	s := newStage(t, embedded)
	tasks := *batchFlag
	list := []string{"--tasks", fmt.Sprint(tasks)}
	c := s.newCrew(6, with(Job{Short: true}, append(list, "--once", "--timeout", long.String(), "-o", "json")...)...)
	kills := 0
	for done := 0; done < tasks; kills++ {
		c.strikeOne()
		wanted := done + 1 + rand.IntN(1+tasks/4)
		s.until("more tasks have ended", func() bool {
			done = len(s.count(0, Ends))

			return done >= min(wanted, tasks)
		})
	}
	for _, p := range c.workers {
		require.Equal(t, 0, p.code(), p.name)
	}
	s.follow()
	recorded := s.status(list...)
	require.Len(t, recorded.Tasks, tasks)
	ended := map[string]map[uint64]bool{}
	for _, l := range s.lines {
		if l.Verb == Ends {
			if ended[l.Task] == nil {
				ended[l.Task] = map[uint64]bool{}
			}
			ended[l.Task][l.Token] = true
		}
	}
	runs := 0
	for _, task := range recorded.Tasks {
		require.Equal(t, "done", task.State, task.Task)
		require.True(t, ended[task.Task][task.Token], "%s: the recorded run %d has ended", task.Task, task.Token)
		last := s.judge.tasks[task.Task]
		require.Equal(t, last.begin.Token, task.Token, "%s: the recorded run is the last one", task.Task)
		runs += last.runs
	}
	for task, n := range s.reported() {
		require.Equal(t, 1, n, task)
	}
	t.Logf("%d tasks, %d runs, %d kills", tasks, runs, kills)
}
