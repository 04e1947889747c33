//go:build race

package ownership_test

// simulations is lower with the race detector, because a core has no goroutines that could race.
const simulations = 150
