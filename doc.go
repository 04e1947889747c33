// Package tenure is a client for YDB's Coordination Service and for tenure's own server. It treats a lease as held only
// while the server is guaranteed to honour it.
//
// A [Client] opens sessions. A [Session] acquires semaphores, and the result of each acquire is a [Lease], which the
// session keeps alive until it is released or lost. Most programs do not need these types: package lock runs a function
// while it holds a lock, and package workers shares tasks among several processes.
//
// The types implement [coordination.Client], [coordination.Session] and [coordination.Lease] of ydb-go-sdk, so a Client
// can be used in place of the result of db.Coordination(). The SDK makes the connections, and provides endpoint
// discovery, credentials and TLS.
//
// # Guarantees
//
//   - While [Lease.Valid] returns true, the server does not grant the lease's share of the semaphore to another
//     session. This requires that the clocks of the two machines run at rates that differ by less than 1 in 100. The
//     contexts of the session and of the lease end before the server can grant that share to another session, and
//     [context.Cause] returns the reason.
//   - Failures of the network, or of a server between the client and the coordination node, do not weaken this
//     guarantee. Only an answer from the node itself extends a lease, and the extension counts from the time at which
//     the client sent the request.
//   - If the machine sleeps, Valid returns false once the lease may have expired. The contexts may then end late: at
//     the next call, or within a quarter of the session timeout after the machine wakes up.
//   - If the server refuses a request, the call returns an error with the reason. The client retries transient failures
//     after increasing delays.
//
// # Non-guarantees
//
//   - The package cannot stop a goroutine when its context ends, and a process can be suspended for any length of time
//     between a check and a write. Call [Lease.Valid] immediately before each side effect. Send the fencing token,
//     which [Lease.Token] returns, with each write and have the storage reject older tokens.
//
// # Requirements
//
// Close sessions and clients that are no longer needed. While working under a lease, watch its context, and stop when
// the context ends.
package tenure
