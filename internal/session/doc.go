// Package session implements a client's coordination session as a pure state machine. It decides what to send, which
// calls and leases have ended, and when to look again. It has no goroutines, reads no clock and does no I/O, so the
// same calls always have the same effects.
//
// The central value is the session's deadline. A node starts the timeout of a session when it notices that the stream
// is gone, which is never before it last heard from the client (docs/protocol.md, C1). The session is therefore
// certainly alive until
//
//	send time of the newest request that the node has answered + timeout - drift - margin
//
// and everything that depends on the session ends at that instant. Two events prove nothing. The arrival of a message
// does not count, only the time at which the client sent the request that it answers. A pong does not count either,
// because it may come from a front server that is cut off from the node. The core therefore sends the node a request
// every quarter of the timeout, and counts only the answers.
package session
