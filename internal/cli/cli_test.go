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

// program is a command with flags of every type. It prints their values and its arguments.
func program(env *cli.Env) *cobra.Command {
	name, limit, quiet, wait := "none", 3, false, time.Second
	root := &cobra.Command{
		Use:     "demo [flags] [NAME]",
		Example: "demo nightly\n  demo --limit 4 nightly",
		Long:    "demo shows the flags.",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := fmt.Fprintln(env.Stdout, name, limit, quiet, wait, args, cmd.ArgsLenAtDash())

			return err
		},
	}
	cli.AddFlags(root,
		cli.Flag{Name: "semaphore", Arg: "NAME", Example: "nightly", Usage: "what to take", Value: &name},
		cli.Flag{Name: "limit", Short: "l", Arg: "N", Usage: "how many", Value: &limit},
		cli.Flag{Name: "quiet", Short: "q", Usage: "say less", Value: &quiet},
		cli.Flag{Name: "wait", Short: "w", Arg: "D", Env: "DEMO_WAIT", Usage: "how long", Value: &wait},
	)

	return root
}

// tree is a command with a subcommand.
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

// variables returns the variables in a list of NAME=value, separated by commas.
func variables(list string) map[string]string {
	vars := map[string]string{}
	for pair := range strings.SplitSeq(list, ",") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			vars[name] = value
		}
	}

	return vars
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
		{"everything after two dashes is an argument", "", "x -- -limit 4", "none 3 false 1s [x -limit 4] 1\n"},
		{"variables", "TENURE_SEMAPHORE=v,TENURE_LIMIT=9,DEMO_WAIT=4s,TENURE_QUIET=true", "", "v 9 true 4s [] -1\n"},
		{"the command line before the variable", "TENURE_LIMIT=9", "-limit 4", "none 4 false 1s [] -1\n"},
		{"the command line before an empty variable", "TENURE_LIMIT=", "-limit 4", "none 4 false 1s [] -1\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := run(t, program, variables(test.vars), strings.Fields(test.line)...)
			require.Empty(t, stderr)
			require.Equal(t, test.want, stdout)
			require.Equal(t, cli.ExitOK, code)
		})
	}
}

func TestRun_WrongUsageIsOneLine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, vars, line, want string }{
		{"no such flag", "", "-frobnicate", "unknown flag --frobnicate: see demo --help"},
		{"a letter missing", "", "--limt 4", "unknown flag --limt: did you mean --limit?"},
		{"a letter missing, one dash", "", "-semaphor x", "unknown flag --semaphor: did you mean --semaphore?"},
		{"letters swapped", "", "--quite", "unknown flag --quite: did you mean --quiet?"},
		{"a beginning", "", "--sema x", "unknown flag --sema: did you mean --semaphore?"},
		{"no such letter", "", "-qx", "unknown flag -x: see demo --help"},
		{"no value", "", "-limit", "--limit needs a value: write --limit N"},
		{"no number", "", "-limit=x", `--limit="x" is not a whole number`},
		{"no duration", "", "-wait 5", `--wait="5" is not a duration: write e.g. 10s, 500ms or 1m30s`},
		{"bad variable", "TENURE_LIMIT=x", "", `TENURE_LIMIT="x" is not a whole number`},
		{"password", "TENURE_LIMIT=grpc://me:secret@host", "", `TENURE_LIMIT="grpc://me:xxxxx@host" is not a whole number`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := run(t, program, variables(test.vars), strings.Fields(test.line)...)
			require.Equal(t, "demo: "+test.want+"\n", stderr)
			require.Empty(t, stdout)
			require.Equal(t, cli.ExitFailure, code)
		})
	}
}

// A flag or a variable that is set but empty is an error, whatever its type. Its message says what to write.
func TestRun_Empty(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, vars string
		line       []string
		want       string
	}{
		{"text", "", []string{"--semaphore", ""}, "--semaphore is empty: write --semaphore nightly, or leave the flag out"},
		{
			"text with equals sign", "",
			[]string{"-semaphore="},
			"--semaphore is empty: write --semaphore nightly, or leave the flag out",
		},
		{"number", "", []string{"--limit", ""}, "--limit is empty: write --limit N, or leave the flag out"},
		{"number by letter", "", []string{"-l", ""}, "--limit is empty: write --limit N, or leave the flag out"},
		{"switch", "", []string{"--quiet="}, "--quiet is empty: write --quiet alone, or leave the flag out"},
		{"duration", "", []string{"--wait="}, "--wait is empty: write --wait D, or leave the flag out"},
		{
			"text variable", "TENURE_SEMAPHORE=", nil,
			"TENURE_SEMAPHORE is empty: write TENURE_SEMAPHORE=nightly, or unset the variable",
		},
		{"number variable", "TENURE_LIMIT=", nil, "TENURE_LIMIT is empty: write TENURE_LIMIT=N, or unset the variable"},
		{"switch variable", "TENURE_QUIET=", nil, "TENURE_QUIET is empty: write TENURE_QUIET=true, or unset the variable"},
		{"duration variable", "DEMO_WAIT=", nil, "DEMO_WAIT is empty: write DEMO_WAIT=D, or unset the variable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := run(t, program, variables(test.vars), test.line...)
			require.Equal(t, "demo: "+test.want+"\n", stderr)
			require.Empty(t, stdout)
			require.Equal(t, cli.ExitFailure, code)
		})
	}
}

func TestRun_PrintConfig(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := run(t, program, variables("TENURE_LIMIT=9,TENURE_SEMAPHORE=grpc://me:secret@host:1/x"),
		"--wait", "2s", "--print-config", "x")
	require.Empty(t, stderr)
	require.Equal(t, `--semaphore   grpc://me:xxxxx@host:1/x   TENURE_SEMAPHORE
--limit       9                          TENURE_LIMIT
--quiet       false                      default
--wait        2s                         command line
--verbose     false                      default
`, stdout)
	require.Equal(t, cli.ExitOK, code)
}

func TestRun_Help(t *testing.T) {
	t.Parallel()
	const want = `  demo nightly
  demo --limit 4 nightly

demo shows the flags.

Usage: demo [flags] [NAME]

Flags, each with its variable:
  --semaphore NAME   what to take (default none)                                    TENURE_SEMAPHORE
  -l, --limit N      how many (default 3)                                               TENURE_LIMIT
  -q, --quiet        say less                                                           TENURE_QUIET
  -w, --wait D       how long (default 1s)                                                 DEMO_WAIT
  -v, --verbose      report more on standard error                                    TENURE_VERBOSE
  --print-config     print every setting and where it comes from, and exit       TENURE_PRINT_CONFIG
  -h, --help         print this text
  --version          print the version

Flag names are also keys in ~/.config/tenure/config.toml, or in the file that TENURE_CONFIG names.
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
		{"no such command", "", "tree: unknown command \"sreve\": did you mean \"serve\"?\n", 125, []string{"sreve"}},
		{"another word", "", "tree: unknown command \"start\": see tree --help\n", 125, []string{"start"}},
		{"no such flag", "", "tree: unknown flag --fial: did you mean --fail?\n", 125, []string{"serve", "--fial=x"}},
		{"too many", "", "tree: unexpected argument \"x\": see tree serve --help\n", 125, []string{"serve", "x"}},
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

// Text that others have chosen can be part of a message. It does not reach the terminal as control characters.
func TestComplain_EscapesControlCharacters(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	cli.Complain(&cli.Env{Stderr: &b}, "tenure", errors.New("node /local/a\x1b[2J\n  is \u202ehere"))
	require.Equal(t, "tenure: node /local/a\\x1b[2J is \\u202ehere\n", b.String())
}
