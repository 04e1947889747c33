//go:build unix

package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/cli"
)

// configured writes a configuration file and returns its path.
func configured(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))

	return path
}

// The command line comes before the variables, the variables before the file, and the file before the defaults.
func TestConfigFile_Precedence(t *testing.T) {
	t.Parallel()
	path := configured(t, `
verbose = true
wait = "2s"
no-wait = true
limit = 7
"conflict-exit-code" = 9 # flags of other commands may stand here
capacity = 3

[demo]
wait = "3s"
name = ["a", "b c"]
factor = 2

[workers]
timeout = "4s"
tasks = 3
`)
	vars := map[string]string{cli.ConfigVariable: path, "TENURE_LIMIT": "8"}
	code, stdout, stderr := run(t, grouped, vars, "--conflict-exit-code", "10", "--print-config")
	require.Empty(t, stderr)
	require.Equal(t, cli.ExitOK, code)
	require.Equal(t, fmt.Sprintf(`--limit                8      TENURE_LIMIT
--factor               2      %[1]s: demo.factor
--name                 a      %[1]s: demo.name
--name                 b c    %[1]s: demo.name
--no-wait              true   %[1]s: no-wait
--wait                 3s     %[1]s: demo.wait
--conflict-exit-code   10     command line
--verbose              true   %[1]s: verbose
`, path), stdout)
}

func TestConfigFile_Place(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, limit := range map[string]int{"xdg/tenure": 4, "home/.config/tenure": 5} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, name), 0o700))
		text := fmt.Appendf(nil, "limit = %d\n", limit)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name, "config.toml"), text, 0o600))
	}
	named := configured(t, "limit = 6\n")
	home, xdg, none := filepath.Join(dir, "home"), filepath.Join(dir, "xdg"), filepath.Join(dir, "none")
	for _, test := range []struct{ name, vars, want string }{
		{"no home", "", "2"},
		{"home", "HOME=" + home, "5"},
		{"configuration directory", "XDG_CONFIG_HOME=" + xdg + ",HOME=" + home, "4"},
		{"it has no file", "XDG_CONFIG_HOME=" + none + ",HOME=" + home, "2"},
		{"it is relative", "XDG_CONFIG_HOME=xdg,HOME=" + home, "5"},
		{"named file", "TENURE_CONFIG=" + named + ",HOME=" + home, "6"},
		{"no file", "TENURE_CONFIG=/dev/null,HOME=" + home, "2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, stdout, stderr := run(t, grouped, variables(test.vars))
			require.Empty(t, stderr)
			require.Equal(t, "[] "+test.want+" 1.5 false 0s 124\n", stdout)
		})
	}
}

// A mistake in the file is one line, which names the file, the line and the key.
func TestConfigFile_Mistakes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, text, want string }{
		{"syntax", "limit = 1\nlimit 2\n", ":2: expected '=' after key"},
		{"twice", "limit = 1\nlimit = 2\n", ":2: key limit is already defined"},
		{"unknown key", "\nlimt = 3\n", `:2: unknown key "limt": did you mean "limit"?`},
		{"unknown key in a table", "[demo]\n\nfrob = 3\n", `:3: unknown key "demo.frob": see demo --help`},
		{
			"unknown key of another command", "[workers]\nfrob = 3\n",
			`:2: unknown key "workers.frob": see the help of that command`,
		},
		{"unknown table", "[demos]\nlimit = 3\n", `:1: unknown table "demos": did you mean "demo"?`},
		{"another unknown table", "[other]\nlimit = 3\n", `:1: unknown table "other": a table has the name of a command`},
		{"alias", "nonblock = true\n", `:1: unknown key "nonblock": see demo --help`},
		{"not a setting", "print-config = true\n", `:1: unknown key "print-config": see demo --help`},
		{"text for a number", `limit = "3"`, ":1: limit must be a whole number"},
		{"number for a duration", "[demo]\nwait = 3", `:2: demo.wait must be a duration in quotes: write e.g. "10s"`},
		{"no duration", `wait = "3"`, `:1: wait="3" is not a duration: write e.g. 10s, 500ms or 1m30s`},
		{"text for a switch", `no-wait = "yes"`, ":1: no-wait must be true or false"},
		{"number for a text", "name = 3", ":1: name must be a string, or an array of strings"},
		{"numbers for texts", "name = [3]", ":1: name must be a string, or an array of strings"},
		{"empty text", `name = ""`, `:1: name is empty: write name = "NAME", or leave the key out`},
		{"empty text in an array", `name = ["a", ""]`, `:1: name is empty: write name = "NAME", or leave the key out`},
		{"negative", "limit = -3", `:1: limit="-3" is not a whole number that is not negative`},
		{"table for a value", "demo.wait.x = 3", `:1: demo.wait must be a duration in quotes: write e.g. "10s"`},
		{
			"overridden, but wrong", "wait = 3\n[demo]\nwait = \"3s\"",
			`:1: wait must be a duration in quotes: write e.g. "10s"`,
		},
		{"in one line", "demo = {\n  wait = 3 }", `:1: demo.wait must be a duration in quotes: write e.g. "10s"`},
		{"check", "conflict-exit-code = 0", ":1: conflict-exit-code=0 is out of range: must be between 1 and 255"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := configured(t, test.text)
			code, stdout, stderr := run(t, grouped, map[string]string{cli.ConfigVariable: path})
			require.Equal(t, "demo: "+path+test.want+"\n", stderr)
			require.Empty(t, stdout)
			require.Equal(t, cli.ExitFailure, code)
		})
	}
}

// A file that others can write is not read, and neither is one that cannot be a configuration file.
func TestConfigFile_NotRead(t *testing.T) {
	t.Parallel()
	const other = "set TENURE_CONFIG to another file, or to /dev/null for none"
	writable := configured(t, "limit = 3\n")
	require.NoError(t, os.Chmod(writable, 0o620))
	large := configured(t, strings.Repeat("#\n", 1<<20))
	dir, missing := t.TempDir(), filepath.Join(t.TempDir(), "none")
	for name, test := range map[string]struct{ path, want string }{
		"others write": {writable, "configuration file %s: other users can write to it: run chmod go-w %[1]s"},
		"large":        {large, "configuration file %s is larger than 1 MiB: " + other},
		"directory":    {dir, "configuration file %s: it is not a regular file: " + other},
		"missing":      {missing, "cannot read the configuration file: open %s: no such file or directory: " + other},
		"empty": {
			"", "TENURE_CONFIG is empty: write TENURE_CONFIG=/path/to/config.toml, or unset the variable",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := run(t, grouped, map[string]string{cli.ConfigVariable: test.path})
			want := test.want
			if test.path != "" {
				want = fmt.Sprintf(want, test.path)
			}
			require.Equal(t, "demo: "+want+"\n", stderr)
			require.Empty(t, stdout)
			require.Equal(t, cli.ExitFailure, code)
		})
	}
	t.Run("belongs to another user", func(t *testing.T) {
		t.Parallel()
		if os.Geteuid() != 0 {
			t.Skip("only root can give a file away")
		}
		path := configured(t, "limit = 3\n")
		require.NoError(t, os.Chown(path, 1234, -1))
		code, _, stderr := run(t, grouped, map[string]string{cli.ConfigVariable: path})
		require.Equal(t, "demo: configuration file "+path+
			": it belongs to user 1234, but this process runs as user 0: "+other+"\n", stderr)
		require.Equal(t, cli.ExitFailure, code)
	})
	_, stdout, stderr := run(t, grouped, map[string]string{cli.ConfigVariable: writable}, "--version")
	require.Empty(t, stderr)
	require.NotEmpty(t, stdout)
}
