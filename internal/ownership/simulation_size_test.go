//go:build !race

package ownership_test

// simulations is the number of schedules that TestSimulation runs.
const simulations = 1_000
