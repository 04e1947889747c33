// Package e2e plays what happens to users' processes with real ones: the commands are built, a server is started, and
// processes of lock and workers share it while others of them, or the server, are stopped and killed.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"testing"
)

// scratch is a directory for the commands and for what the tests leave; its name is short enough to hold sockets.
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
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: build the commands:", err)

		return 1
	}

	return m.Run()
}

// build builds the commands as this test was built: with the race detector if that is on here.
func build() error {
	args := []string{"build", "-o", scratch + "/"}
	if info, ok := debug.ReadBuildInfo(); ok {
		if slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
			args = append(args, "-race")
		}
	}
	cmd := exec.Command("go", append(args, "tenure/cmd/...")...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr

	return cmd.Run()
}
