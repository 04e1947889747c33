//go:build race

package session_test

// simulations is lower here: the node checks its invariants too, and a core has no goroutines that could race.
const simulations = 200
