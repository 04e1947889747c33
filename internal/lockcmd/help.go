package lockcmd

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
older tokens. "tenure man" installs manual pages with all details.

Exit code: that of COMMAND; 128+n if signal n ended it; 123 the lock was lost and COMMAND was
stopped; 124 not acquired; 125 lock failed; 126 COMMAND cannot run; 127 COMMAND not found.`
