//go:build !race

package pool_test

// simulations is the number of schedules that TestSimulation runs.
const simulations = 400
