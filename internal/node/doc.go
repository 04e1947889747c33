// Package node implements a coordination node as a pure state machine. A node consists of sessions, semaphores, queues
// of owners and waiters, watches and deadlines. It starts no goroutines, reads no clock and does no I/O, and the same
// inputs always have the same effects. Tests can therefore compare it with a model, fuzz it and replay it.
//
// The package implements the rules of docs/protocol.md. Comments and tests cite them by number: A (attach), Q (acquire,
// release, queue), S (semaphores) and N5 (ranges).
//
// The owner of a [Node] passes one request after another to [Node.Apply] and carries out the resulting [Effects].
// [Effects.Changes] holds everything that must survive a crash, as records from which [Load] rebuilds the node.
package node
