package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"tenure/internal/cli"
)

// program is a command with flags of every kind and one subcommand; it prints what it was given.
func program(env *cli.Env) *cobra.Command {
	name, limit, quiet, wait := "none", 3, false, time.Second
	root := &cobra.Command{
		Use:     "demo [flags] [NAME]",
		Example: "demo nightly\n  demo -limit 4 nightly",
		Long:    "demo shows the flags.",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := fmt.Fprintln(env.Stdout, name, limit, quiet, wait, args, cmd.ArgsLenAtDash())

			return err
		},
	}
	cli.AddFlags(root,
		cli.Flag{Name: "semaphore", Arg: "NAME", Usage: "what to take", Value: &name},
		cli.Flag{Name: "limit", Short: "l", Arg: "N", Usage: "how many", Value: &limit},
		cli.Flag{Name: "quiet", Short: "q", Usage: "say less", Value: &quiet},
		cli.Flag{Name: "wait", Short: "w", Arg: "D", Env: "DEMO_WAIT", Usage: "how long", Value: &wait},
	)

	return root
}

// tree is a command of subcommands.
func tree(env *cli.Env) *cobra.Command {
	root := &cobra.Command{Use: "tree", Example: "tree serve", Long: "tree has branches."}
	fail := ""
	serve := &cobra.Command{Use: "serve", Short: "serve it", RunE: func(*cobra.Command, []string) error {
		switch fail {
		case "":
			_, err := fmt.Fprintln(env.Stdout, "served")

			return err
		case "silent":
			return &cli.ExitError{Code: 3}
		}

		return &cli.ExitError{Code: 7, Err: errors.New(fail)}
	}}
	cli.AddFlags(serve, cli.Flag{Name: "fail", Arg: "TEXT", Usage: "fail with TEXT", Value: &fail})
	root.AddCommand(serve)

	return root
}

// run runs a command line and returns exit code, stdout and stderr.
func run(
	t *testing.T, build func(*cli.Env) *cobra.Command, vars map[string]string, args ...string,
) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = cli.Run(t.Context(), build, &cli.Env{
		Args:      args,
		LookupEnv: func(name string) (string, bool) { v, ok := vars[name]; return v, ok },
		Stdin:     strings.NewReader(""),
		Stdout:    &out,
		Stderr:    &errs,
	})

	return code, out.String(), errs.String()
}

func TestRun_Flags(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, vars, line, want string }{
		{"defaults", "", "", "none 3 false 1s [] -1\n"},
		{"one dash", "", "-semaphore a -limit 4 -quiet -wait 2s", "a 4 true 2s [] -1\n"},
		{"two dashes", "", "--semaphore a --limit 4 --quiet --wait 2s", "a 4 true 2s [] -1\n"},
		{"mixed, with equals signs", "", "-semaphore=a --limit=4 -quiet=true", "a 4 true 1s [] -1\n"},
		{"letters", "", "-q -l 5 -w 3s", "none 5 true 3s [] -1\n"},
		{"letters in one", "", "-ql5", "none 5 true 1s [] -1\n"},
		{"letters in one, value apart", "", "-qw 3s", "none 3 true 3s [] -1\n"},
		{"letter with equals sign", "", "-l=5 x", "none 5 false 1s [x] -1\n"},
		{"value that looks like a flag", "", "-semaphore -limit x", "-limit 3 false 1s [x] -1\n"},
		{"negative value", "", "-limit -4", "none -4 false 1s [] -1\n"},
		{"after the argument", "", "x -limit 4", "none 4 false 1s [x] -1\n"},
		{"a dash alone", "", "- -limit 4", "none 4 false 1s [-] -1\n"},
		{"behind two dashes all is an argument", "", "x -- -limit 4", "none 3 false 1s [x -limit 4] 1\n"},
		{"variables", "TENURE_SEMAPHORE=v,TENURE_LIMIT=9,DEMO_WAIT=4s,TENURE_QUIET=true", "", "v 9 true 4s [] -1\n"},
		{"the line goes before variables", "TENURE_LIMIT=9", "-limit 4", "none 4 false 1s [] -1\n"},
		{"an empty variable is none", "TENURE_LIMIT=", "", "none 3 false 1s [] -1\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			vars := map[string]string{}
			for pair := range strings.SplitSeq(test.vars, ",") {
				name, value, _ := strings.Cut(pair, "=")
				vars[name] = value
			}
			code, stdout, stderr := run(t, program, vars, strings.Fields(test.line)...)
			require.Empty(t, stderr)
			require.Equal(t, test.want, stdout)
			require.Equal(t, cli.ExitOK, code)
		})
	}
}

func TestRun_WrongUsageIsOneLine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, vars, line, want string }{
		{"no such flag", "", "-frobnicate", "demo: there is no flag -frobnicate: see demo --help\n"},
		{"no such letter", "", "-qx", "demo: there is no flag -x: see demo --help\n"},
		{"no value", "", "-limit", "demo: -limit needs a value: -limit N\n"},
		{"no number", "", "-limit=x", "demo: -limit=\"x\" is not a whole number\n"},
		{"no duration", "", "-wait 5", "demo: -wait=\"5\" is not a duration: write e.g. 10s, 500ms or 1m30s\n"},
		{"bad variable", "TENURE_LIMIT=x", "", "demo: TENURE_LIMIT=\"x\" is not a whole number\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			name, value, _ := strings.Cut(test.vars, "=")
			code, stdout, stderr := run(t, program, map[string]string{name: value}, strings.Fields(test.line)...)
			require.Equal(t, test.want, stderr)
			require.Empty(t, stdout)
			require.Equal(t, cli.ExitFailure, code)
		})
	}
}

func TestRun_Help(t *testing.T) {
	t.Parallel()
	const want = `  demo nightly
  demo -limit 4 nightly

demo shows the flags.

Usage: demo [flags] [NAME]

Flags, with one dash or two:
  --semaphore NAME   what to take (default none)   TENURE_SEMAPHORE
  -l, --limit N      how many (default 3)          TENURE_LIMIT
  -q, --quiet        say less                      TENURE_QUIET
  -w, --wait D       how long (default 1s)         DEMO_WAIT
  -h, --help         this text
  --version          the version of demo
`
	for _, line := range []string{"-h", "-help", "--help", "x --help"} {
		code, stdout, stderr := run(t, program, nil, strings.Fields(line)...)
		require.Empty(t, stderr)
		require.Equal(t, want, stdout)
		require.Equal(t, cli.ExitOK, code)
	}
}

func TestRun_Version(t *testing.T) {
	t.Parallel()
	code, stdout, _ := run(t, program, nil, "-version")
	require.Equal(t, "demo "+cli.Version()+"\n", stdout)
	require.Equal(t, cli.ExitOK, code)
}

func TestRun_Subcommands(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, stdout, stderr string
		code                 int
		line                 []string
	}{
		{"it runs", "served\n", "", 0, []string{"serve"}},
		{"an exit code of its own", "", "tree: disk full\n", 7, []string{"serve", "-fail", "disk\nfull"}},
		{"an exit code alone", "", "", 3, []string{"serve", "-fail=silent"}},
		{"no such command", "", "tree: there is no command \"sreve\": see tree --help\n", 125, []string{"sreve"}},
		{"too many", "", "tree: argument \"x\" is one too many: see tree serve --help\n", 125, []string{"serve", "x"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := run(t, tree, nil, test.line...)
			require.Equal(t, test.stderr, stderr)
			require.Equal(t, test.stdout, stdout)
			require.Equal(t, test.code, code)
		})
	}
}

func TestRun_HandsOnItsContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "value")
	var got any
	build := func(*cli.Env) *cobra.Command {
		return &cobra.Command{Use: "demo", RunE: func(cmd *cobra.Command, _ []string) error {
			got = cmd.Context().Value(key{})

			return nil
		}}
	}
	env := &cli.Env{LookupEnv: func(string) (string, bool) { return "", false }}
	require.Equal(t, cli.ExitOK, cli.Run(ctx, build, env))
	require.Equal(t, "value", got)
}
