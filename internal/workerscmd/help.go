package workerscmd

import "tenure/internal/cli"

// examples is the beginning of the help.
const examples = `workers --tasks 100 --capacity 8 -- consume --partition {task}
	workers --tasks-file tasks.txt -- ./run {task}
	workers --task mail=2 --task push -- ./serve {task}
	workers --tasks-file files.txt --once -- ./convert {task}
	workers --name "$(hostname)" --persistent --tasks 100 -- ./follow {task}
	workers --status
	workers --ydb grpc://localhost:2136/local --tasks 10 --capacity 4`

const about = `workers runs its share of a list of tasks: one COMMAND for each task, which runs in one process at a
time among all that use the same server. When a worker dies or leaves, others take its tasks. When a
worker joins, tasks move to it, as few as possible. No process takes more than --capacity. The
server is by default an embedded one, for the processes of this user on this machine. For several
machines, pass the address of "tenure serve" or YDB with --ydb. All workers need the same list of
tasks. Without COMMAND, the tasks only print lines.

{task} in the arguments of COMMAND is the name of the task, and so is TENURE_TASK. COMMAND gets the
fencing token in TENURE_TOKEN. Send it with each write, and have the storage reject older tokens. A
COMMAND that ends is run again, after a delay if it has failed. The manual page, which "tenure man"
writes, has the details.

Exit code: 0 told to stop, or all tasks are done (--once); 1 tasks have failed for good (--once);
123 tasks had to be killed after workers was told to stop; 125 workers itself failed; 126 COMMAND
cannot run; 127 COMMAND not found.`

// manual is the part of the manual page that the help has no room for.
const manual = `Tasks:
  The list of tasks comes from --tasks, --task, --tasks-file or --tasks-command. A name has up to 1,024 bytes and no
  control character. A weight is a whole number between 1 and 1,000,000. In a file, # begins a comment.

  workers looks at the file every second, and reads it again when it has changed and then stayed the same for a
  second. HUP makes it read the list immediately. New tasks start somewhere, removed ones stop, and the others
  are not disturbed. A list that cannot be read, has a mistake or is empty leaves the previous one in force, and
  workers says so. If the terminal that workers was started from is gone, HUP ends workers like TERM.

Balance:
  With --assign balanced, all workers compute the same assignment from their capacities and the list. A worker that has
  a task of another one gives it back when the pool has not changed for --settle: COMMAND gets --signal, and the
  other worker takes the task when COMMAND has ended. At most --moves tasks move at the same time. With
  --assign greedy, a worker takes what is free and keeps it.

  With --name, a worker that ends and comes back within --timeout gets the same tasks. A second process with the
  same name is refused.

When COMMAND is stopped:
  When only --grace is left of the lease, it is in danger. workers then sends --signal to COMMAND's process group. It
  sends KILL to everything that COMMAND has started so early that nothing of it runs when the lease ends. The guard,
  a second process, does the same if workers is killed or frozen.

  At the first TERM or INT, workers takes no more tasks and sends --signal to every COMMAND. Each task is free for
  others as soon as its COMMAND has ended. After --drain, workers sends KILL. At a second TERM or INT, it does so
  immediately. A COMMAND whose task moves or is removed from the list has --stop-timeout.

  Nothing that COMMAND has started outlives it: one second after COMMAND has ended by itself, workers kills the rest.

Failures:
  A COMMAND that ends runs again after --backoff, which doubles with each failure in a row, up to a minute. How often a
  task has failed is kept on the server, so all workers respect it. After --give-up failures in a row, a worker leaves
  the task to others for a while. With --alive-within, a COMMAND that neither prints a line nor writes its state for so
  long has failed, and is stopped.

Batches:
  With --once, a task whose COMMAND exits with 0 is done, which its semaphore records together with the token, and no
  worker runs it again. A task that fails is run again, at most --retries times, and then has failed for good. The
  command ends when no task is left, and lists those that have failed. The record of a task is the data of the
  semaphore TASK#record. To run one task again, run "tenure semaphore delete TASK#record". To run all of them again, use
  another --path or other names.

Environment of COMMAND:
  TENURE_TASK is the name of the task, and TENURE_WORKER that of the worker. TENURE_TOKEN is a number that grows with
  every grant of the task. TENURE_SEMAPHORE, TENURE_SESSION_ID, TENURE_NODE and TENURE_FD are as for lock.

  With --persistent, each line that COMMAND writes to descriptor 3, of at most 1 MiB, replaces its state. The next run
  of the task, on any machine, finds it in the file that TENURE_STATE_FILE names. A state is sent in the session
  that holds the task, so the server refuses the state of a COMMAND that has lost it.

Output:
  Each line that COMMAND prints begins with the name of its task, in colour on a terminal, unless NO_COLOR is set. With
  --raw, COMMAND has the standard output of workers. Events and messages are on standard error.

Looking:
  --status prints a line for each task of the list and for each worker, so it needs the same list as the workers. A
  running task has SINCE and HEARD: since when it runs, and when it last printed a line or saved its state. A waiting
  one has failed, and runs again later. One that is outside belongs to a session that is no worker of the pool. FAILURES
  is how often the task has failed in a row, with the reason. Workers also report tasks that none of them has, for more
  than a second, on standard error; with --once, only with --verbose.

Signals:
  TERM, INT and QUIT stop the tasks; a second one kills them. HUP reads the list of tasks again. USR1 prints the table
  of --status on standard error.

` + cli.ServerHelp + `

` + cli.DirHelp
