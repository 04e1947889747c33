//go:build linux

package workers

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"tenure/internal/programs"
)

var (
	killsFlag  = flag.Duration("kills", 0, "how long TestKills kills workers that share 60 tasks; 0: 10s, and 20 tasks")
	batchFlag  = flag.Int("batch", 60, "the number of tasks of TestBatch")
	poisonFlag = flag.Duration("poison", 8*time.Second, "how long TestPoison counts starts")
)

// scratch is the directory for the commands and the files of the tests. Its path is short enough for sockets in it.
var scratch string

// stages is the number of tests at the same time. Most of the time, they wait.
const stages = 5

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "workers-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "workers:", err)

		return 1
	}
	defer os.RemoveAll(dir)
	scratch = dir
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(stages)); err != nil {
		fmt.Fprintln(os.Stderr, "workers:", err)

		return 1
	}

	return m.Run()
}

// build builds the commands and the job once, without the race detector: whole pools of processes run on a few
// processors, and tests measure their time. The program tenure is also workers under that name.
var build = sync.OnceValue(func() error {
	if err := programs.ForTest(scratch, false, programs.Tenure, "tenure/test/workers/job"); err != nil {
		return err
	}

	return os.Symlink("tenure", filepath.Join(scratch, "workers"))
})
