package assign_test

import (
	"slices"
	"testing"

	"tenure/internal/assign"
)

// BenchmarkBalance has 10,000 tasks and 100 members, like a large pool.
func BenchmarkBalance(b *testing.B) {
	unit, members := unitTasks(10_000), equalMembers(100, 200)
	mixed, roomy := unitTasks(10_000), equalMembers(100, 500)
	for i := range mixed {
		mixed[i].Weight = 1 + i*i%7
	}
	short := equalMembers(100, 90)
	picky := equalMembers(100, 200)
	for i := range picky {
		if i%2 == 0 {
			picky[i].Accepts = func(task string) bool { return task[len(task)-1] != '7' }
		}
	}
	for _, pool := range []struct {
		name    string
		tasks   []assign.Task
		members []assign.Member
	}{{"unit", unit, members}, {"mixed", mixed, roomy}, {"short", unit, short}, {"picky", unit, picky}} {
		none := free(len(pool.tasks))
		settled := assign.Balance(pool.tasks, pool.members, none)
		left := slices.Clone(pool.members)
		left[50].Leaving = true
		for _, c := range []struct {
			name    string
			members []assign.Member
			owner   []int
		}{
			{"settled", pool.members, settled},
			{"free", pool.members, none},
			{"join", pool.members, assign.Balance(pool.tasks, pool.members[:99], none)},
			{"leave", left, settled},
		} {
			b.Run(pool.name+"/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					assign.Balance(pool.tasks, c.members, c.owner)
				}
			})
		}
	}
}
