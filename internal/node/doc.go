// Package node is a coordination node as a pure state machine: sessions, semaphores, queues of owners and waiters,
// watches and deadlines, and nothing else. It has no goroutine, reads no clock, does no I/O, and gives the same effects
// for the same inputs, which is why it can be tested against a model, fuzzed and replayed.
//
// The rules it follows are those of docs/protocol.md; comments and tests cite them by number: A (attach), Q (acquire,
// release, queue), S (semaphores), N5 (ranges).
//
// Who owns a [Node] calls [Node.Apply] with one request after another and does what the [Effects] say. What must
// survive a crash is in [Effects.Changes], records that [Load] builds the node from again.
package node
