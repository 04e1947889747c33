//go:build !race

package pool_test

// simulations is the number of schedules that TestSimulation runs.
const simulations = 500

// largeTasks is the number of tasks of the largest pools.
const largeTasks = 10_000
