// Package workers distributes long-running tasks among processes. Each task is a semaphore of a coordination node, and
// runs in the worker that owns it.
//
// # Guarantees
//
//   - [Run] runs a task only while its worker owns the task, and cancels the task's context as soon as it can no longer
//     be sure. The cause then wraps [ErrLost]. A task never runs in two workers at the same time if it stops in time.
//   - A worker never runs more tasks than its capacity.
//   - A worker with room waits for every task that it does not own. It gets a released task immediately. It gets a task
//     of a worker that dies or is cut off when that worker's session timeout ([WithTimeout]) has expired, never
//     earlier. With the embedded server, the tasks of a process that dies are free immediately.
//   - A worker keeps its tasks until its session ends, the context of Run ends, or a task returns.
//   - When Run returns, everything it started has stopped.
//
// # Non-guarantees
//
//   - Tasks are not balanced. The first workers get as many tasks as their capacity allows. No task moves to a worker
//     that starts later.
//   - Run cannot force a task to stop. A task that continues after its context has ended may run in the next worker at
//     the same time. Run waits for it, but the other processes do not.
//   - Owning a task does not protect what the task changes elsewhere. A process can be suspended between a check and a
//     write. Send the fencing token ([Token]) with each write, and have the storage reject older tokens.
//   - Not every client is equally safe. The client of package tenure gives up a lease before the server can grant it to
//     anyone else. The client of ydb-go-sdk, db.Coordination(), may treat a lease as held for seconds longer.
//   - Errors do not always contain the server's reason. The client of ydb-go-sdk drops the status of answers within a
//     session. With it, Run may have to guess that rights are missing.
//
// # Requirements
//
//   - Return from a task soon after its context has ended, well before the session timeout expires.
//   - Use the same node path and task names in all processes that share tasks.
//   - Provide enough capacity: if all tasks are to run, the workers that remain after failures must have room for them.
//   - Keep the client open until Run returns.
package workers
