// Package workers distributes long-running tasks among processes. Each task is a semaphore of a coordination node, and
// runs in the worker that owns it. Workers come and go, and the tasks move as little as possible.
//
// # Guarantees
//
//   - [Run] runs a task only while its worker owns the task, and ends the task's context as soon as it can no longer be
//     sure. The cause then wraps [ErrLost]. A task never runs in two workers at the same time if it stops in time.
//   - A worker never runs more tasks than its capacity allows.
//   - A free task goes to a worker that has room for it, within milliseconds. The tasks of a worker that dies or is cut
//     off are free when its session timeout ([WithTimeout]) has expired, never earlier. With the embedded server, the
//     tasks of a process that dies are free immediately.
//   - Workers balance the tasks in proportion to their capacities, and move no more tasks than that takes. A worker
//     that leaves moves only its own tasks. See [WithGreedy] for workers that keep what they have.
//   - A task that fails affects no other task. Its worker runs it again after a pause that the whole pool respects.
//   - What a task saves ([Task.Save]) can only be replaced by a worker that owns the task.
//
// # Non-guarantees
//
//   - Run cannot force a function to return. A function that continues after its context has ended may run in the next
//     worker at the same time. Run reports it as [Stuck].
//   - Owning a task does not protect what the task changes elsewhere. A process can be suspended between a check and a
//     write. Send the fencing token ([Task.Token]) with each write, and have the storage reject older tokens.
//   - Not every client is equally safe. The client of package tenure gives up a lease before the server can grant it to
//     anyone else. The client of ydb-go-sdk, db.Coordination(), may treat a lease as held for seconds longer.
//   - Errors do not always contain the server's reason. The client of ydb-go-sdk drops the status of answers within a
//     session. With it, Run may have to guess that rights are missing.
//
// # Requirements
//
//   - Return from a function soon after its context has ended, well before the session timeout expires.
//   - Use the same node path, pool name ([WithPool]) and list of tasks in all processes that share tasks.
//   - Provide enough capacity: if all tasks are to run, the workers that remain after failures must have room for them.
//     Run reports tasks that run nowhere as [Unassigned].
//   - Keep the client open until Run returns.
//
// # Semaphores
//
// Besides the semaphore of each task, a pool uses a membership semaphore, named after the pool, in which each worker
// announces itself. A task that has failed, or is done, also has a persistent semaphore with its record, which nobody
// deletes. Names of tasks must not end with "#members" or "#record", or contain "#worker=".
package workers
