//go:build !race

package session_test

// simulations is the number of schedules that TestSimulation runs.
const simulations = 2_000
