// Package session is a client's coordination session as a pure state machine: what to send, which calls have ended,
// which leases are over and when to look again. It has no goroutine, reads no clock, does no I/O; the same calls give
// the same effects.
//
// The heart of it is the deadline. A node counts a session's timeout from when it notices that the stream is gone,
// never before it last heard from the client (C1). So the session is surely alive until
//
//	send time of the newest request that the node has answered + timeout - drift - margin
//
// and at that instant everything under it ends. Two things prove nothing: that something was received (only when what
// was answered had been sent), and a pong, which may come from a front server that is cut off from the node. The core
// therefore asks the node for something every quarter of the timeout, and counts only the answers.
package session
