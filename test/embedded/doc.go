//go:build unix

// Package embedded tries the embedded server as its users will: many processes share a state directory, and any of
// them, also the one that hosts the server, is killed, stopped or asked to end at any moment.
//
// Here are those processes: a [Contender] asks for a lock or for tasks, and writes down what it does in a [Record], by
// which alone it is judged whether two have worked at once, and for how long nobody has. The tests run them by starting
// their own program again; the benchmarks do so too.
package embedded
