// Package assign decides which member of a pool should own which task.
//
// [Balance] is a pure function: it has no state, and does not read a clock or use randomness. Every worker of a pool
// calls it with the same tasks, members and owners, and gets the same answer, so that the pool needs no leader.
package assign
