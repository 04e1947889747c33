// Package lock runs a function while its session owns a semaphore of a coordination node: one process at a time does
// the work, and when it stops or dies, another one goes on.
//
// # What it promises
//
//   - Work is called only while the lock is held, as far as the client can tell, and its context ends as soon as the
//     client cannot consider the lock held any more, with a cause that wraps [ErrLost].
//   - Of the processes that run the same lock, each asks in turn, and whoever asked first gets it first. A holder that
//     returns gives it to the next at once. One that dies gives it up after its session's timeout ([WithTimeout]), not
//     before.
//   - [Run] has called off, waited for and cleaned up everything that it started when it returns.
//
// # What it does not promise
//
//   - That work stops: if it goes on after its context has ended, it works at the same time as the next holder. Run
//     waits for it, but nobody else does.
//   - Mutual exclusion beyond doubt. How early a client stops to believe in a lease is its own business. That of
//     package tenure does so before the server can grant the lock to others; that of ydb-go-sdk, db.Coordination(), may
//     hold on for seconds after. And a process can be suspended between a check and a write. What must not happen twice
//     needs a check where it is written.
//   - To say why the server refuses, with the client of ydb-go-sdk, which drops the statuses of answers within a
//     session: of a refused acquire, Run can then find out that the semaphore is of the wrong kind, or else guess at
//     missing rights; missing rights to open a session at all look like a server that does not answer.
//
// # What the caller must do
//
// Work must return soon after its context has ended: well before the session's timeout has passed, and with [WithGrace]
// within the grace. All who share a lock use the same node path and semaphore name. The client must outlive Run.
package lock
