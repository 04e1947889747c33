package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"tenure/internal/cli"
)

// family is a command with completion and manual pages for itself and another program.
func family(env *cli.Env) *cobra.Command {
	root := tree(env)
	other := grouped(env)
	root.AddCommand(cli.CompletionCommand(env, root, other.Name()), cli.ManCommand(env, md2man.Render, root, other))

	return root
}

// complete returns what the program offers for the last argument, and cobra's directive to the shell.
func complete(t *testing.T, build func(*cli.Env) *cobra.Command, args ...string) string {
	t.Helper()
	env := map[string]string{"_TENURE_COMPLETE": "1"}
	code, stdout, _ := run(t, build, env, append([]string{"__complete"}, args...)...)
	require.Equal(t, cli.ExitOK, code)

	return stdout
}

func TestCompletion_Offers(t *testing.T) {
	t.Parallel()
	const noFiles = ":4\n"
	require.Equal(t, "--no-wait\tgive up immediately\n"+noFiles, complete(t, grouped, "--no-w"))
	require.Equal(t, noFiles, complete(t, grouped, "--wait", ""))
	require.Equal(t, noFiles, complete(t, grouped, ""))
	require.Equal(t, "serve\tserve it\n"+noFiles, complete(t, family, "se")) //nolint:dupword // a name and its description
	require.Equal(t, "bash\nzsh\nfish\n"+noFiles, complete(t, family, "completion", ""))
	require.Equal(t, "a\nb\n"+noFiles, complete(t, choosing, "--choice", ""))
	require.Equal(t, ":16\n", complete(t, choosing, "--dir", ""), "directories")
	require.Equal(t, ":0\n", complete(t, choosing, "--file", ""), "files")
	require.Equal(t, noFiles, complete(t, choosing, ""), "the first argument is a name")
	require.Equal(t, ":0\n", complete(t, choosing, "name", "--", "./"), "files")
}

// choosing is a command with a COMMAND and with flags whose values can be completed. It prints its arguments.
func choosing(env *cli.Env) *cobra.Command {
	choice, dir, file := "a", "", ""
	root := &cobra.Command{Use: "choose [flags]", Args: cobra.ArbitraryArgs}
	root.RunE = func(cmd *cobra.Command, args []string) error {
		_, err := env.Data.Write([]byte(strings.Join(args, " ") + ", first " + cmd.Flags().Arg(0) + "\n"))

		return err
	}
	cli.TakesCommand(root, 1)
	cli.AddFlags(root,
		cli.Flag{Name: "choice", Arg: "C", Usage: "a or b", Value: &choice, Values: []string{"a", "b"}},
		cli.Flag{Name: "dir", Arg: "DIR", Usage: "a directory", Value: &dir},
		cli.Flag{Name: "file", Arg: "FILE", Usage: "a file", Value: &file},
	)

	return root
}

// The names of cobra's own commands are arguments like others.
func TestCompletion_ReservesNoName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"completion", "help", "__complete", "__completeNoDesc"} {
		for _, args := range [][]string{{name}, {"--choice", "b", name}, {name, "--", name}} {
			code, stdout, stderr := run(t, choosing, nil, args...)
			require.Empty(t, stderr)
			require.Contains(t, []string{name + ", first " + name + "\n", name + " " + name + ", first " + name + "\n"}, stdout)
			require.Equal(t, cli.ExitOK, code)
		}
	}
}

// The scripts are valid, and register both programs.
func TestCompletion_Scripts(t *testing.T) {
	t.Parallel()
	for shell, lines := range map[string][]string{
		"bash": {
			"complete -o default -F __start_tree tree demo",
			`requestComp="_TENURE_COMPLETE=1 ${words[0]} __complete ${args[*]}"`,
		},
		"zsh": {
			"#compdef tree demo", "compdef _tree tree demo",
			`requestComp="_TENURE_COMPLETE=1 ${words[1]} __complete ${words[2,-1]}"`,
		},
		"fish": {
			"complete -c tree -n '__tree_clear_perform_completion_once_result'",
			"complete -c demo -n '__tree_clear_perform_completion_once_result'",
			"_TENURE_COMPLETE=1 $args[1] __complete $args[2..-1] $lastArg",
		},
	} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := run(t, family, nil, "completion", shell)
			require.Empty(t, stderr)
			require.Equal(t, cli.ExitOK, code)
			for _, line := range lines {
				require.Contains(t, stdout, line)
			}
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skip(err)
			}
			cmd := exec.Command(path, "-n")
			cmd.Stdin = strings.NewReader(stdout)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
		})
	}
	code, _, stderr := run(t, family, nil, "completion", "tcsh")
	require.Equal(t, "tree: name one shell: write tree completion bash|zsh|fish\n", stderr)
	require.Equal(t, cli.ExitFailure, code)
}

func TestMan(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "man1")
	code, stdout, stderr := run(t, family, nil, "man", dir)
	require.Empty(t, stderr)
	require.Equal(t, cli.ExitOK, code)
	var names []string
	for _, name := range []string{"tree", "tree-completion", "tree-man", "tree-serve", "demo"} {
		names = append(names, filepath.Join(dir, name+".1"))
	}
	require.Equal(t, names, strings.Fields(stdout))
	page, err := os.ReadFile(filepath.Join(dir, "demo.1"))
	require.NoError(t, err)
	for _, text := range []string{
		`.TH "DEMO" "1" "" "tenure ` + cli.Version() + `" "User Commands"`,
		".SH NAME\ndemo \\- shows groups\n",
		".SS Waiting\n",
		".TP\n\\fB-n, --no-wait, --nonblock, --nb\\fP\ngive up immediately. Variable TENURE_NO_WAIT.\n",
		".SH EXAMPLES\n",
		".SH FILES\n",
	} {
		require.Contains(t, string(page), text)
	}
	code, _, stderr = run(t, family, nil, "man")
	require.Equal(t, "tree: name one directory: write e.g. tree man ~/.local/share/man/man1\n", stderr)
	require.Equal(t, cli.ExitFailure, code)
}
