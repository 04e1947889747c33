// Package guard runs the guard, a second process that stops COMMAND when the process that holds the lease cannot.
//
// The holder of the lease, such as the command lock, starts the guard with [Start]. The guard is another process of the
// same binary, and starts COMMAND as its child. The holder tells it each new deadline of the lease. The guard kills
// COMMAND and all of its descendants when the deadline passes, or when the holder has ended. Then it ends the session
// on the server, so that a waiter gets the lock immediately.
//
// The holder enforces the same deadline itself. So a COMMAND ends in time if the holder or the guard is frozen. If the
// guard ends first, the system kills COMMAND (on Linux), and the holder kills the rest. If both are killed at the same
// instant, COMMAND ends, but processes that it has started may keep running.
//
// A holder that runs several COMMANDs under one session starts a guard for each. The guards share a [Barrier], so that
// they end the session only when all COMMANDs of the session are gone.
//
// Limits:
//
//   - On Linux, the guard reaches all descendants of COMMAND, also those that have left its process group or session,
//     because orphans become children of the guard. It needs /proc for that. On other systems it reaches the process
//     group of COMMAND only, and COMMAND survives if the guard is killed.
//   - Processes of another user, such as those of sudo, cannot be killed without the rights to do so. As long as one of
//     them runs, the guard does not end the session, which then ends at its timeout.
//
// The two processes are connected by a pair of sockets. Secrets such as the key of the session travel over it, and
// never appear in arguments or the environment. Package watchman has the code of the guard's process.
package guard
