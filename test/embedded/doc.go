//go:build unix

// Package embedded tests the embedded server with real processes. Many processes share a state directory, and the tests
// kill them, stop them or ask them to end at any moment. This includes the process that hosts the server.
//
// The package also provides these processes. A [Contender] acquires a lock or tasks and writes what it does to a
// [Record]. A [History] uses only the record to decide whether two processes worked at the same time, and for how long
// none worked. The tests and the benchmarks start their own program again to run a contender.
package embedded
