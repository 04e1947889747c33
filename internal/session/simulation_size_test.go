//go:build !race

package session_test

// simulations is how many schedules TestSimulation runs.
const simulations = 2_000
