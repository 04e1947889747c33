// Package lock runs functions while it holds a lock, so that only one process at a time does the work, and another one
// takes over when that process stops or dies. The lock is a semaphore of a coordination node.
//
//   - [Do] runs a function once, under the lock. [Acquire] and [TryAcquire] are for programs in which one function
//     cannot contain the work.
//   - [Elect] keeps one leader among all processes that call it. [Observe] tells other processes who leads.
//
// # Guarantees
//
//   - Do and Elect call work only while they hold the lock, and cancel its context as soon as they can no longer be
//     sure. The cause then wraps [ErrLost].
//   - Waiters get the lock in the order in which they asked for it.
//   - A holder that returns hands over immediately. The lock of a holder that dies or is cut off goes to the next
//     waiter when the session timeout ([WithTimeout]) has expired, never earlier. With the embedded server, the lock of
//     a process that dies is free immediately.
//   - If an error wraps [ErrBusy], work has not run.
//   - When Do, Elect or Observe returns, everything it started has stopped.
//
// # Non-guarantees
//
//   - The package cannot force work to stop. Work that continues after its context has ended runs at the same time as
//     that of the next holder. Do and Elect wait for it, but the other processes do not.
//   - The lock alone does not protect what work changes elsewhere. A process can be suspended between a check and a
//     write. Send the fencing token ([Held.Token]) with each write, and have the storage reject older tokens.
//   - Not every client is equally safe. The client of package tenure gives up a lease before the server can grant it to
//     anyone else. The client of ydb-go-sdk, db.Coordination(), may treat a lease as held for seconds longer.
//   - Errors do not always contain the server's reason. The client of ydb-go-sdk drops the status of answers within a
//     session. With it, the package may have to guess that rights are missing.
//   - A [Leader] event can be late. A leader may have lost the lock before others learn of it, so do not rely on the
//     event for mutual exclusion.
//
// # Requirements
//
//   - Return from work soon after its context has ended: well before the session timeout expires, and with [WithGrace]
//     within the grace.
//   - Use the same node path, name and limit ([WithLimit]) in all processes that share a lock.
//   - Keep the client open until the calls have returned and each [Held] is released.
//   - Do not ask for a lock inside work that already holds it. Each call has a session of its own, so the inner call
//     waits for the outer one, forever without [WithWait].
//   - If a function needs several locks, ask for all of them in one call ([WithAlso]). Functions that hold one lock and
//     ask for another one in different orders can wait for each other forever.
package lock
