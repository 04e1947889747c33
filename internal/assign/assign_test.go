package assign_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/assign"
)

func TestBalance_NewcomerGetsItsShare(t *testing.T) {
	t.Parallel()
	tasks, members := unitTasks(4), equalMembers(2, 4)
	owner := []int{0, 0, 0, 0}
	target := assign.Balance(tasks, members, owner)
	require.Equal(t, []int{2, 2}, counts(target, 2))
	require.Equal(t, target, assign.Balance(tasks, members, target), "the result is a fixed point")
}

func TestBalance_FourJoinAtOnce(t *testing.T) {
	t.Parallel()
	for n := range 50 {
		tasks := unitTasks(n)
		owner := make([]int, n)
		target := assign.Balance(tasks, equalMembers(5, 100), owner)
		loads := counts(target, 5)
		require.LessOrEqual(t, slices.Max(loads)-slices.Min(loads), 1, "loads %v", loads)
	}
}

func TestBalance_TenTasksFiveWorkers(t *testing.T) {
	t.Parallel()
	target := assign.Balance(unitTasks(10), equalMembers(5, 4), free(10))
	require.Equal(t, []int{2, 2, 2, 2, 2}, counts(target, 5))
}

func unitTasks(n int) []assign.Task {
	tasks := make([]assign.Task, n)
	for i := range tasks {
		tasks[i] = assign.Task{Name: fmt.Sprintf("job-%05d", i), Weight: 1}
	}
	return tasks
}

func equalMembers(n, capacity int) []assign.Member {
	members := make([]assign.Member, n)
	for i := range members {
		members[i] = assign.Member{Name: fmt.Sprintf("worker-%03d", i), Capacity: capacity}
	}
	return members
}

func free(n int) []int {
	owner := make([]int, n)
	for i := range owner {
		owner[i] = assign.None
	}
	return owner
}

func counts(target []int, members int) []int {
	n := make([]int, members)
	for _, m := range target {
		if m != assign.None {
			n[m]++
		}
	}
	return n
}
