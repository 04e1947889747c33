//go:build linux

// Package faults puts the command lock through faults with real processes. A holder runs a COMMAND, and a second lock
// waits. The test stops or kills one of the processes, or drops what they send to each other. The processes of COMMAND
// write what they do to a record. A checker that knows nothing of lock reads the record: see [outcome].
//
// Known limit: if lock and its guard are killed at the same instant, the system kills COMMAND. Processes that COMMAND
// has started keep running, and can overlap with the next holder. See package guard.
package faults

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"

	"tenure/internal/programs"
)

// scratch is the directory for the commands and the files of the tests. Its path is short enough for sockets in it.
var scratch string

// stages is the number of tests at the same time. Most of the time, they wait for the end of a lease.
const stages = 6

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(perform(role))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "faults-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)

		return 1
	}
	defer os.RemoveAll(dir)
	scratch = dir
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(stages)); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)

		return 1
	}

	return m.Run()
}

// build builds the commands once. It uses the race detector if this test binary was built with it.
var build = sync.OnceValue(func() error {
	return programs.ForTest(scratch, programs.Raced(), programs.Lock, programs.Tenure)
})
