//go:build unix

package command_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/cli"
	"tenure/internal/command"
)

// The exit code is 127 for a program that is not found and 126 for a program that cannot run, no matter whether Look or
// Run finds out.
func TestLook(t *testing.T) {
	dir := t.TempDir()
	put := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), mode))

		return path
	}
	script := put("script", "#!/bin/sh\nexit 7\n", 0o700)
	t.Setenv("PATH", "/nowhere:"+dir)
	cannotRun := func(path, why string) string { return `cannot run "` + path + `": ` + why }
	const hint = ": make it executable, with #! and its interpreter in the first line, or name the interpreter: sh "

	const nowhere = `command not found: "frobnicate": check its name, or write its path`
	const noInterpreter = "no such file or directory: the interpreter in its first line is missing"

	plain := put("plain", "exit 7\n", 0o600)
	headless := put("headless", "exit 7\n", 0o700)
	orphan := put("orphan", "#!/nowhere/sh\n", 0o700)
	for name, test := range map[string]struct {
		argv0, want string
		code        int
	}{
		"in PATH":      {"script", "", 7},
		"by its path":  {script, "", 7},
		"not in PATH":  {"frobnicate", nowhere, 127},
		"no such path": {"./frobnicate", `command not found: "./frobnicate": check its path`, 127},
		"COMMAND and arguments in one word": {
			"echo hi",
			`command not found: "echo hi": to run it in a shell, write --shell 'echo hi'`, 127,
		},
		"shell syntax": {
			"./a;./b", `command not found: "./a;./b": to run it in a shell, write --shell './a;./b'`, 127,
		},
		"not executable":       {plain, cannotRun(plain, "permission denied"+hint+plain), 126},
		"not executable, PATH": {"plain", cannotRun(plain, "permission denied"+hint+plain), 126},
		"directory":            {dir, cannotRun(dir, "is a directory"), 126},
		"no #! line":           {headless, cannotRun(headless, "exec format error"+hint+headless), 126},
		"missing interpreter":  {orphan, cannotRun(orphan, noInterpreter), 126},
	} {
		t.Run(name, func(t *testing.T) {
			path, err := command.Look(test.argv0)
			if err == nil {
				p := newCommand(path, test.argv0)
				err = p.Run(t.Context(), &lease{})
			}
			exit, ok := errors.AsType[*cli.ExitError](err)
			require.True(t, ok, err)
			require.Equal(t, test.code, exit.Code)
			if test.want == "" {
				require.NoError(t, exit.Err)

				return
			}
			require.EqualError(t, exit.Err, test.want)
		})
	}

	t.Run("current directory in PATH", func(t *testing.T) {
		t.Chdir(dir)
		t.Setenv("PATH", "/nowhere::")
		path, err := command.Look("script")
		require.NoError(t, err)
		require.Equal(t, 7, code(t, newCommand(path, "script").Run(t.Context(), &lease{})))
	})
	t.Run("removed after Look", func(t *testing.T) {
		path, err := command.Look("script")
		require.NoError(t, err)
		require.NoError(t, os.Remove(path))
		exit, ok := errors.AsType[*cli.ExitError](newCommand(path, "script").Run(t.Context(), &lease{}))
		require.True(t, ok)
		require.Equal(t, 127, exit.Code)
	})
}

func newCommand(path string, argv ...string) *command.Command {
	return &command.Command{Path: path, Argv: argv, Signal: syscall.SIGTERM}
}

func TestParseSignal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]syscall.Signal{
		"TERM": syscall.SIGTERM, "SIGTERM": syscall.SIGTERM, "term": syscall.SIGTERM, "sigint": syscall.SIGINT,
		"15": syscall.SIGTERM, "USR1": syscall.SIGUSR1, "64": 64,
	} {
		sig, err := command.ParseSignal(text)
		require.NoError(t, err, text)
		require.Equal(t, want, sig, text)
	}
	for _, text := range []string{"", "0", "-9", "65", "FOO", "SIG", "SIGSIGTERM", "15s"} {
		_, err := command.ParseSignal(text)
		require.EqualError(t, err, `"`+text+`" is not a signal: write its name or its number, e.g. TERM, INT or 15`)
	}
}
