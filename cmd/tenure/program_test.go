package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/cli"
)

// programs are the programs that this one is under another name, with arguments that each of them refuses.
var programs = map[string]struct {
	wrong   []string
	message string
}{
	"lock":    {[]string{"--wait", "-1s", "deploy"}, "lock: --wait=-1s is out of range: must be 0s or more\n"},
	"workers": {[]string{"--capacity", "-1"}, "workers: --capacity=-1 is out of range: must be 0 or more\n"},
}

// A link with the name of a program is that program, and so is the subcommand with its name. Exit codes and messages
// are the same.
func TestProgram(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	for name, p := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			link := filepath.Join(t.TempDir(), name)
			require.NoError(t, os.Symlink(self, link))
			for _, command := range [][]string{{link}, {self, name}} {
				run := func(args ...string) (code int, stdout, stderr string) {
					cmd := exec.Command(command[0], append(command[1:], args...)...)
					var out, errs bytes.Buffer
					cmd.Env, cmd.Stdout, cmd.Stderr = []string{asTenure + "=1", "HOME=" + t.TempDir()}, &out, &errs
					_ = cmd.Run()

					return cmd.ProcessState.ExitCode(), out.String(), errs.String()
				}
				code, stdout, stderr := run("--version")
				require.Equal(t, name+" "+cli.Version()+"\n", stdout)
				require.Empty(t, stderr)
				require.Equal(t, cli.ExitOK, code)

				code, stdout, stderr = run(p.wrong...)
				require.Equal(t, p.message, stderr)
				require.Empty(t, stdout)
				require.Equal(t, cli.ExitFailure, code)
			}
		})
	}
}
