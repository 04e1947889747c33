package doctor

import "fmt"

// Numbers of open files.
const (
	filesOfClient = 128                // what lock and workers need, and a host of the embedded server with a few clients
	filesOfServer = 10_000 + filesKept // for the default of --max-connections
	filesKept     = 256                // what serve keeps for itself
)

// Files checks the limit of open files. A limit of 0 is not known. Serves says that a server may run on this machine.
func Files(limit uint64, serves bool) Line {
	const check = "open files"
	do := "raise it with ulimit -n, or with LimitNOFILE= in a unit"
	switch {
	case limit == 0:
		return ok(check, "this system does not tell the limit of open files")
	case limit < filesOfClient:
		return Line{
			Check: check, Result: Bad, Do: do,
			Found: fmt.Sprintf("this process may open only %d files, and needs %d", limit, filesOfClient),
		}
	case serves && limit < filesOfServer:
		return Line{
			Check: check, Result: Warn, Do: do + ", for tenure serve",
			Found: fmt.Sprintf("a process may open %d files: a server that is started like this one accepts only %d connections",
				limit, limit-min(filesKept, limit/2)),
		}
	}

	return ok(check, "a process may open %d files", limit)
}
