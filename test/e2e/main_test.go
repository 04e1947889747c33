// Package e2e plays what happens to users' processes with real ones: the commands are built, a server is started, and
// processes of lock and workers share it while others of them, or the server, are stopped and killed.
package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
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

	return m.Run()
}

// build builds the commands, once, as this test was built: with the race detector if that is on here.
var build = sync.OnceValue(func() error {
	args := []string{"build", "-o", scratch + "/"}
	if info, ok := debug.ReadBuildInfo(); ok {
		if slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
			args = append(args, "-race")
		}
	}
	out, err := exec.Command("go", append(args, "tenure/cmd/...")...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("build the commands: %w: %s", err, out)
	}

	return errors.Join(err, readSources())
})

// readSources reads the directories of the module, for the go command to see while tests run: they do not import what
// they test, so their cached results would else be good for ever.
func readSources() error {
	return filepath.WalkDir(filepath.Join("..", ".."), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == ".git" {
			return filepath.SkipDir
		}

		return err
	})
}
