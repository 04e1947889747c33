package cli_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"tenure/internal/cli"
)

// grouped is a command whose flags have groups, aliases, checks, and values of all types. It prints the values.
func grouped(env *cli.Env) *cobra.Command {
	var names []string
	var slots uint64 = 2
	code, factor, nowait, wait := 124, 1.5, false, time.Duration(0)
	root := &cobra.Command{
		Use: "demo [flags]", Example: "demo", Long: "demo shows groups.",
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(env.Stdout, "%q %d %v %v %v %d\n", names, slots, factor, nowait, wait, code)

			return err
		},
	}
	cli.Groups(root, "Waiting", cli.GroupHolding, cli.GroupLooking)
	cli.AddFlags(root,
		cli.Flag{
			Name: "limit", Group: cli.GroupHolding, Arg: "N", Value: &slots,
			Usage: "a semaphore with as many slots as this, and everybody who uses it has to give the same number of them",
		},
		cli.Flag{Name: "factor", Group: cli.GroupHolding, Arg: "F", Usage: "grow by", Value: &factor},
		cli.Flag{
			Name: "name", Group: cli.GroupHolding, Arg: "NAME", Usage: "what to hold; repeatable", Value: &names,
			Check: func() error {
				if len(names) > 2 {
					return errors.New("more than 2 names")
				}

				return nil
			},
		},
		cli.Flag{
			Name: "no-wait", Short: "n", Aliases: []string{"nonblock", "nb"}, Group: "Waiting", Value: &nowait,
			Usage: "give up immediately",
		},
		cli.Flag{
			Name: "wait", Short: "w", Group: "Waiting", Arg: "D", Usage: "give up after D (default: never)", Value: &wait,
		},
		cli.Flag{
			Name: "conflict-exit-code", Short: "E", Group: "Waiting", Arg: "N", Value: &code,
			Usage: "exit code for giving up",
			Check: func() error {
				if code < 1 || code > 255 {
					return errors.New("is out of range: must be between 1 and 255")
				}

				return nil
			},
		},
	)

	return root
}

func TestFlags_Kinds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, vars, line, want string }{
		{"defaults", "", "", `[] 2 1.5 false 0s 124`},
		{"several", "", "--name a --name b,c", `["a" "b,c"] 2 1.5 false 0s 124`},
		{"several in a variable", "TENURE_NAME=a\nb c\n", "", `["a" "b c"] 2 1.5 false 0s 124`},
		{"the command line before the variable", "TENURE_NAME=a", "--name b", `["b"] 2 1.5 false 0s 124`},
		{"numbers", "TENURE_FACTOR=2.5", "--limit 18446744073709551615", `[] 18446744073709551615 2.5 false 0s 124`},
		{"alias", "", "--nonblock", `[] 2 1.5 true 0s 124`},
		{"alias with one dash", "", "-nb", `[] 2 1.5 true 0s 124`},
		{"alias with a value", "TENURE_NO_WAIT=true", "--nonblock=false", `[] 2 1.5 false 0s 124`},
		{"letters before an alias", "", "-nw 1s", `[] 2 1.5 true 1s 124`},
		{"check", "", "-E 3", `[] 2 1.5 false 0s 3`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := run(t, grouped, variables(test.vars), strings.Fields(test.line)...)
			require.Empty(t, stderr)
			require.Equal(t, test.want+"\n", stdout)
			require.Equal(t, cli.ExitOK, code)
		})
	}
}

func TestFlags_WrongValues(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, vars, line, want string }{
		{"negative", "", "--limit -1", `--limit="-1" is not a whole number that is not negative`},
		{"no number", "", "--factor x", `--factor="x" is not a number`},
		{"check", "", "-E 0", "--conflict-exit-code=0 is out of range: must be between 1 and 255"},
		{
			"check of a variable", "TENURE_CONFLICT_EXIT_CODE=256", "",
			"TENURE_CONFLICT_EXIT_CODE=256 is out of range: must be between 1 and 255",
		},
		{"check of several", "", "--name a --name b --name c", "--name: more than 2 names"},
		{"an empty line", "TENURE_NAME=a\n\nb", "", "TENURE_NAME is empty: write TENURE_NAME=NAME, or unset the variable"},
		{"nearly an alias", "", "--nonblok", "unknown flag --nonblok: did you mean --nonblock?"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := run(t, grouped, variables(test.vars), strings.Fields(test.line)...)
			require.Equal(t, "demo: "+test.want+"\n", stderr)
			require.Empty(t, stdout)
			require.Equal(t, cli.ExitFailure, code)
		})
	}
}

func TestFlags_PrintConfigOfSeveral(t *testing.T) {
	t.Parallel()
	_, stdout, stderr := run(t, grouped, nil, "--print-config", "--nonblock", "--name", "a", "--name", "b")
	require.Empty(t, stderr)
	require.Contains(t, stdout,
		"--name                 a       command line\n--name                 b       command line\n")
	require.Contains(t, stdout, "--no-wait              true    command line\n")
}

// The help has the groups in the order that the command declares. A line has at most 100 characters.
func TestFlags_HelpHasGroups(t *testing.T) {
	t.Parallel()
	_, stdout, stderr := run(t, grouped, nil, "--help")
	require.Empty(t, stderr)
	//nolint:dupword // the example is the name alone
	require.Equal(t, `  demo

demo shows groups.

Usage: demo [flags]

Waiting:
  -n, --no-wait, --nonblock, --nb   give up immediately
  -w, --wait D                      give up after D (default: never)
  -E, --conflict-exit-code N        exit code for giving up (default 124)

Holding:
  --limit N                         a semaphore with as many slots as this, and everybody who uses
                                    it has to give the same number of them (default 2)
  --factor F                        grow by (default 1.5)
  --name NAME                       what to hold; repeatable

Looking:
  -v, --verbose                     report more on standard error
  --print-config                    print every setting and where it comes from, and exit
  -h, --help                        print this text
  --version                         print the version

Every flag has a variable: TENURE_ and the name of the flag, as in TENURE_NO_CREATE.

Flag names are also keys in ~/.config/tenure/config.toml, or in the file that TENURE_CONFIG names.
`, stdout)
}
