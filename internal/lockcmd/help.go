package lockcmd

import "tenure/internal/cli"

// examples is the beginning of the help.
const examples = `lock deploy -- ./deploy.sh
	lock --wait 10m deploy -- ./deploy.sh
	lock --once "$(date +%F)" nightly -- ./report
	lock nightly --shell 'backup --fence "$TENURE_TOKEN" | gzip > backup.gz'
	lock --limit 4 build -- make
	lock --restart always leader -- ./scheduler
	lock --status deploy`

const about = `lock runs COMMAND while it holds the lock NAME. Only one process holds NAME at a time, among all that use
the same server. The others wait in a queue. The server is by default an embedded one, for the
processes of this user on this machine. For several machines, pass the address of "tenure serve" or
YDB with --ydb. If the server stops answering, lock stops COMMAND before someone else can get the
lock. Without COMMAND, lock holds the lock and prints events until it is interrupted.

COMMAND gets the fencing token in TENURE_TOKEN. Send it with each write, and have the storage reject
older tokens. The manual page, which "tenure man" writes, has the details.

Exit code: that of COMMAND; 128+n if signal n ended it; 123 the lock was lost and COMMAND was
stopped; 124 not acquired; 125 lock failed; 126 COMMAND cannot run; 127 COMMAND not found.`

// manual is the part of the manual page that the help has no room for.
const manual = `When COMMAND is stopped:
  When only --grace is left of the lease, it is in danger. lock then sends --signal to COMMAND's process group. It
  sends KILL to everything that COMMAND has started so early that nothing of it runs when the lease ends. If the
  server answers again in between, COMMAND gets more time, but it has been told to stop.

  If lock itself is told to stop, it passes the signal on to COMMAND's process group and waits. It sends KILL after
  --stop-timeout, or at a second signal. It keeps the lock until the process group has ended.

  COMMAND is a child of the guard, a second process that lock starts. If lock is killed, or is frozen until the
  lease ends, the guard kills COMMAND and everything that COMMAND has started, and then frees the lock. If the guard
  is killed, lock kills COMMAND and exits with 125.

  Background processes that outlive a COMMAND that ends by itself keep running, without the lock.

Signals:
  INT, TERM, HUP and QUIT are passed on to COMMAND's process group and begin a graceful stop. So do other signals
  that would end lock. USR1, USR2, ALRM, WINCH and CONT are passed on. TSTP stops lock and COMMAND together; while
  they are stopped, nobody renews the lease, so a long stop loses the lock. A signal that was ignored when lock was
  started stays ignored, in COMMAND too.

Waiting:
  --wait covers the attempts to reach the server as well as the queue. With --no-wait, the server decides in one round
  trip. If the lock is not acquired, COMMAND has not run. A server that cannot be reached is a failure (125). With
  --no-wait and --quiet, lock prints nothing if the lock is taken: the exit code says so.

  Several locks are acquired in the order of their names, so that two commands cannot block each other. Exclusive
  and shared locks are one kind of semaphore, and those with --limit are another kind. To use one name as both
  kinds, or with two limits, is an error.

  A lock inside COMMAND that waits for a lock that it already runs under is an error, because it would wait forever.

Once:
  --once records each successful run with its key and token under the name of the lock. A run that fails, is killed or
  loses the lock is not recorded. The record keeps the newest 1,000 keys. It is the data of the semaphore NAME#once.

  To run COMMAND again for a key, leave --once out. To make all keys of NAME new, run "tenure semaphore delete
  NAME#once".

Without COMMAND:
  With --pid, lock returns when it has the lock. A process in the background holds the lock until PID ends, or until
  --release. It treats PID as it would treat COMMAND: PID gets --signal and KILL if the lock is about to be lost.

Environment of COMMAND:
  TENURE_TOKEN is a number that grows with every grant. Send it with each write, and have the storage reject a write
  whose token is lower than one it has seen. With several NAMEs there is TENURE_TOKENS instead, with a line
  NAME=TOKEN for each. TENURE_SEMAPHORE is NAME, with a line for each NAME. TENURE_SESSION_ID and TENURE_NODE name
  the session and its coordination node. TENURE_HELD lists, as JSON, every lock that the process and its ancestors
  run under; a lock inside COMMAND ignores TENURE_SEMAPHORE because of it.

  TENURE_FD is a descriptor to read from: a line with the deadline of the lease at the start and at each renewal, the
  line "danger" when the lease is in danger, and the end of the file when it is lost.

` + cli.ServerHelp + `

` + cli.DirHelp + `

Exit code:
  That of COMMAND; 128+n if signal n ended it, or ended lock before COMMAND ran; 123 if the lock was lost or in
  danger and COMMAND was stopped; 124, or that of --conflict-exit-code, if the lock was not acquired; 125 if lock
  itself failed; 126 if COMMAND cannot run; 127 if COMMAND is not found. Without COMMAND, 0 after an interrupt. With
  --status, 0 if the lock is held, and 1 if it is free. If several apply, 123 comes before that of COMMAND, and that
  before the rest.`
