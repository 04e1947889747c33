// Package e2e tests the commands as real processes. It builds them, starts a server, and runs processes of lock and
// workers that share it. Meanwhile the tests stop or kill the server or some of the processes.
package e2e

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"tenure/internal/programs"
)

// scratch is the directory for the commands and the files of the tests. Its path is short enough for sockets in it.
var scratch string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)

		return 1
	}
	defer os.RemoveAll(dir)
	scratch = dir

	return m.Run()
}

// build builds the commands once. It uses the race detector if this test binary was built with it.
var build = sync.OnceValue(func() error {
	return programs.ForTest(scratch, programs.Raced(), programs.Lock, programs.Tenure, programs.Workers)
})
