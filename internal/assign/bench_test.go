package assign_test

import (
	"testing"

	"tenure/internal/assign"
)

func BenchmarkBalance(b *testing.B) {
	tasks, members := unitTasks(10_000), equalMembers(100, 200)
	b.Run("free", func(b *testing.B) {
		b.ReportAllocs()
		owner := free(len(tasks))
		for b.Loop() {
			assign.Balance(tasks, members, owner)
		}
	})
	b.Run("settled", func(b *testing.B) {
		b.ReportAllocs()
		owner := assign.Balance(tasks, members, free(len(tasks)))
		for b.Loop() {
			assign.Balance(tasks, members, owner)
		}
	})
	b.Run("join", func(b *testing.B) {
		b.ReportAllocs()
		owner := assign.Balance(tasks, members[:99], free(len(tasks)))
		for b.Loop() {
			assign.Balance(tasks, members, owner)
		}
	})
}
