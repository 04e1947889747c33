//go:build race

package pool_test

// simulations is lower with the race detector, because the node then also checks its invariants, and a core has no
// goroutines that could race.
const simulations = 60
