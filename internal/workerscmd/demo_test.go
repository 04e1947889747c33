package workerscmd_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/cli"
	"tenure/internal/cli/clitest"
	"tenure/internal/workerscmd"
	"tenure/tenuretest"
)

// starting returns the tasks that start according to the lines, in order.
func starting(lines []string) []string {
	var tasks []string
	for _, line := range lines {
		if task, ok := strings.CutSuffix(line, ": starting"); ok {
			tasks = append(tasks, strings.TrimPrefix(task, "worker "))
		}
	}
	slices.Sort(tasks)

	return tasks
}

func TestWorkers_ShareTasks(t *testing.T) {
	t.Parallel()
	dsn := tenuretest.NewServer(t).DSN()
	first := clitest.Start(t, workerscmd.Command,
		"-ydb", dsn, "-path", "/local/test", "--semaphore-prefix", "task-", "--tasks", "6", "--capacity", "4")
	lines := first.Until(t, "running 4 of 6 tasks (at capacity)")
	require.Equal(t, "starting tasks", lines[0])
	had := starting(lines)
	require.Len(t, had, 4)
	first.Until(t, "worker "+had[0]+": in progress")

	second := clitest.Start(t, workerscmd.Command,
		"-ydb", dsn, "-path", "/local/test", "-semaphore-prefix=task-", "-tasks=6", "-capacity=6")
	second.Until(t, "starting tasks")
	first.Interrupt()
	lines, code := first.Wait(t)
	require.Equal(t, cli.ExitOK, code)
	for _, task := range had {
		require.Contains(t, lines, "worker "+task+": done")
	}
	require.Contains(t, lines, "stopping tasks")
	require.Equal(t, "exiting", lines[len(lines)-1])

	require.Equal(t, []string{"task-0", "task-1", "task-2", "task-3", "task-4", "task-5"},
		starting(second.Until(t, "all workers are started")))
}

func TestWorkers_NodeThatIsMissing(t *testing.T) {
	t.Parallel()
	dsn := tenuretest.NewServer(t).DSN()
	lines, code := clitest.Start(t, workerscmd.Command, "-ydb", dsn, "--no-create").Wait(t)
	require.Equal(t, cli.ExitFailure, code)
	require.Equal(t, []string{`workers: node "/local/tenure" does not exist: create it first, ` +
		`or leave out WithoutCreate (--no-create)`}, lines)
}
