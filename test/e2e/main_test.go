// Package e2e tests the commands as real processes. It builds them, starts a server, and runs processes of lock and
// workers that share it. Meanwhile the tests stop or kill the server or some of the processes.
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

// readSources reads the directories of the module so that the go command sees which files this test depends on. The
// test does not import the commands, so without this its cached result would stay valid when they change.
func readSources() error {
	return filepath.WalkDir(filepath.Join("..", ".."), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == ".git" {
			return filepath.SkipDir
		}

		return err
	})
}
