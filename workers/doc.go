// Package workers shares a list of long-running tasks between processes: each task is a semaphore of a coordination
// node, and runs in the worker that owns it.
//
// # What it promises
//
//   - A task runs in a worker only while the worker's client can tell that it holds the task's semaphore: no task runs
//     in two workers that both believe. The task's context ends as soon as the client cannot consider the semaphore
//     held any more, with a cause that wraps [ErrLost].
//   - No worker runs more than its capacity, and as long as a worker has room, it waits for every task that it does not
//     have: a task that is given up goes to it at once, one whose worker dies after the timeout of that worker's
//     session ([WithTimeout]), not before.
//   - A worker keeps the tasks that it has until its session ends, [Run] is told to stop, or a task returns.
//   - Run has called off, waited for and cleaned up everything that it started when it returns.
//
// # What it does not promise
//
//   - Balance. Who asks first gets up to its capacity; nothing is moved to a worker that comes later.
//   - That a task stops: if it goes on after its context has ended, it runs at the same time as in the next worker. Run
//     waits for it, but nobody else does.
//   - Mutual exclusion beyond doubt. How early a client stops to believe in a lease is its own business. That of
//     package tenure does so before the server can grant the task to others; that of ydb-go-sdk, db.Coordination(), may
//     hold on for seconds after. And a process can be suspended between a check and a write. What must not happen twice
//     needs a check where it is written.
//   - To say why the server refuses, with the client of ydb-go-sdk, which drops the statuses of answers within a
//     session: of a refused acquire, Run can then find out that the semaphore is of the wrong kind, or else guess at
//     missing rights; missing rights to open a session at all look like a server that does not answer.
//
// # What the caller must do
//
// A task must return soon after its context has ended: well before the session's timeout has passed. Workers that share
// tasks use the same node path and the same names. If all tasks are to run, the capacities of the workers that are left
// when some have failed must add up to the number of tasks. The client must outlive Run.
package workers
