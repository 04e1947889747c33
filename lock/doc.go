// Package lock runs a function while it holds a lock, so that only one process at a time does the work, and another one
// takes over when that process stops or dies. The lock is a semaphore of a coordination node.
//
// # Guarantees
//
//   - [Run] calls work only while it holds the lock, and cancels its context as soon as it can no longer be sure. The
//     cause then wraps [ErrLost].
//   - Waiters get the lock in the order in which they asked for it.
//   - A holder that returns hands over immediately. The lock of a holder that dies or is cut off goes to the next
//     waiter when the session timeout ([WithTimeout]) has expired, never earlier. With the embedded server, the lock of
//     a process that dies is free immediately.
//   - When Run returns, everything it started has stopped.
//
// # Non-guarantees
//
//   - Run cannot force work to stop. Work that continues after its context has ended runs at the same time as that of
//     the next holder. Run waits for it, but the other processes do not.
//   - The lock alone does not protect what work changes elsewhere. A process can be suspended between a check and a
//     write. Send the fencing token ([Token]) with each write, and have the storage reject older tokens.
//   - Not every client is equally safe. The client of package tenure gives up a lease before the server can grant it to
//     anyone else. The client of ydb-go-sdk, db.Coordination(), may treat a lease as held for seconds longer.
//   - Errors do not always contain the server's reason. The client of ydb-go-sdk drops the status of answers within a
//     session. With it, Run may have to guess that rights are missing.
//
// # Requirements
//
//   - Return from work soon after its context has ended: well before the session timeout expires, and with [WithGrace]
//     within the grace.
//   - Use the same node path and semaphore name in all processes that share a lock.
//   - Keep the client open until Run returns.
package lock
