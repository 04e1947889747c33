package cli

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// completing is the variable that the completion scripts set. Without it, the command of cobra that they call is a word
// like any other, so that a lock may have its name.
const completing = "_TENURE_COMPLETE"

// isCompleting reports whether a completion script has started the command.
func isCompleting(env *Env) bool {
	_, ok := env.LookupEnv(completing)

	return ok && len(env.Args) > 0 &&
		(env.Args[0] == cobra.ShellCompRequestCmd || env.Args[0] == cobra.ShellCompNoDescRequestCmd)
}

// reserved marks an argument that cobra would take for its own command.
const reserved = "\x00"

// reserve marks the words at the positions that are names of commands that cobra adds. See unreserved.
func reserve(args []string, positions []int) {
	for _, i := range positions {
		if args[i] == cobra.ShellCompRequestCmd || args[i] == cobra.ShellCompNoDescRequestCmd {
			args[i] = reserved + args[i]
		}
	}
}

// unreserved returns a check of arguments that removes the marks of reserve first.
func unreserved(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		for i := range args { // the flags of cmd share the slice
			args[i] = strings.TrimPrefix(args[i], reserved)
		}

		return check(cmd, args)
	}
}

// shells are the shells that there are completion scripts for.
var shells = []string{"bash", "zsh", "fish"}

// CompletionCommand returns the command that prints a completion script for root. The script also completes the other
// programs.
func CompletionCommand(env *Env, root *cobra.Command, others ...string) *cobra.Command {
	name := root.Name()
	cmd := &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "print a completion script for a shell",
		Example: "source <(" + name + " completion bash)\n" + name + " completion zsh >\"${fpath[1]}/_" + name + "\"\n" +
			name + " completion fish >~/.config/fish/completions/" + name + ".fish",
		Long: name + ` completion prints a script with which the shell completes the flags of ` +
			strings.Join(append([]string{name}, others...), ", ") + `.
The examples load it into the running bash, and install it for zsh and for fish.`,
		ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return fmt.Errorf("name one shell: write %s completion %s", name, strings.Join(shells, "|"))
			}

			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			script, err := completionScript(root, args[0], others)
			if err == nil {
				_, err = io.WriteString(env.Data, script)
			}

			return err
		},
	}
	withoutSettings(cmd)

	return cmd
}

// completionScript returns cobra's script for the shell. The script asks whichever program is completed, so that it can
// serve all of them.
func completionScript(root *cobra.Command, shell string, others []string) (string, error) {
	const asks = `requestComp="` // in the scripts of bash and zsh
	var b bytes.Buffer
	var err error
	name := root.Name()
	all := strings.Join(append([]string{name}, others...), " ")
	var register, request [2]string // text of the script, and what replaces it
	switch shell {
	case "bash":
		err = root.GenBashCompletionV2(&b, true)
		register = [2]string{"-F __start_" + name + " " + name, "-F __start_" + name + " " + all}
		request = [2]string{asks + "${words[0]} __complete", asks + completing + "=1 ${words[0]} __complete"}
	case "zsh":
		err = root.GenZshCompletion(&b)
		register = [2]string{
			"#compdef " + name + "\ncompdef _" + name + " " + name,
			"#compdef " + all + "\ncompdef _" + name + " " + all,
		}
		request = [2]string{asks + "${words[1]} __complete", asks + completing + "=1 ${words[1]} __complete"}
	default:
		err = root.GenFishCompletion(&b, true)
		request = [2]string{`_ACTIVE_HELP=0 $args[1] __complete`, `_ACTIVE_HELP=0 ` + completing + `=1 $args[1] __complete`}
	}
	script := strings.ReplaceAll(b.String(), request[0], request[1])
	if register[0] != "" {
		script = strings.ReplaceAll(script, register[0], register[1])
	} else {
		script = registerInFish(script, name, others)
	}

	return script, err
}

// registerInFish repeats the lines of the script that register a program for the others.
func registerInFish(script, name string, others []string) string {
	var b strings.Builder
	b.WriteString(script)
	for _, other := range others {
		for line := range strings.Lines(script) {
			if strings.HasPrefix(line, "complete ") {
				b.WriteString(strings.Replace(line, " -c "+name+" ", " -c "+other+" ", 1))
			}
		}
	}

	return b.String()
}

// completeValues tells the shell which values the flag of a row has.
func completeValues(cmd *cobra.Command, row Flag) {
	complete := cobra.NoFileCompletions
	switch {
	case row.Arg == "" || row.Arg == "FILE":
		return // the shell offers files
	case row.Arg == "DIR":
		complete = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
	case len(row.Values) > 0:
		complete = cobra.FixedCompletions(row.Values, cobra.ShellCompDirectiveNoFileComp)
	}
	_ = cmd.RegisterFlagCompletionFunc(row.Name, complete) // the flag exists, and is new
}

// completeArgs completes the arguments of cmd: files for a COMMAND and its arguments.
func completeArgs(cmd *cobra.Command) {
	if cmd.ValidArgsFunction != nil || len(cmd.ValidArgs) > 0 {
		return
	}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if names, ok := takesCommand(cmd); ok && len(args) >= names {
			return nil, cobra.ShellCompDirectiveDefault
		}

		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

const annotationNoSettings = "tenure_no_settings"

// withoutSettings declares that cmd has none of the flags that all commands have, and reads no configuration.
func withoutSettings(cmd *cobra.Command) { annotate(cmd, annotationNoSettings, "yes") }

func hasSettings(cmd *cobra.Command) bool { return cmd.Annotations[annotationNoSettings] == "" }

// visibleFlags calls visit for each flag of cmd that is not hidden, in the order of the table.
func visibleFlags(cmd *cobra.Command, visit func(*pflag.Flag)) {
	cmd.Flags().SortFlags = false
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			visit(f)
		}
	})
}
