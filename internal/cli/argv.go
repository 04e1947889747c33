package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tenure/internal/shell"
)

// doubleDash returns args with a second dash before every long flag that has only one, so that -ydb and --ydb are the
// same flag. It leaves alone everything after "--", the values of flags, and letters, as in -h, -nq and -w10s.
//
// Arguments are the positions of the words before "--" that are neither flags, nor their values, nor subcommands.
func doubleDash(cmd *cobra.Command, args []string) (out []string, arguments []int) {
	out = slices.Clone(args)
	for i := 0; i < len(out) && out[i] != "--"; i++ {
		arg := out[i]
		if len(arg) < 2 || arg[0] != '-' {
			if sub := subcommand(cmd, arg); sub != nil {
				cmd = sub
			} else {
				arguments = append(arguments, i)
			}

			continue
		}
		name, _, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		long := lookup(cmd, name)
		if arg[1] != '-' {
			letter := len(name) > 0 && lookupLetter(cmd, name[:1]) != nil
			if long == nil && letter && !typo(cmd, name) || len(name) == 1 {
				if lettersTakeNext(cmd, name) && !hasValue {
					i++
				}

				continue
			}
			out[i] = "-" + arg // also if it is unknown, so that the error names all of it
		}
		if long != nil && long.NoOptDefVal == "" && !hasValue {
			i++ // its value, which may begin with a dash
		}
	}

	return out, arguments
}

// typo reports whether the word after a single dash looks more like a mistyped flag than like letters.
func typo(cmd *cobra.Command, name string) bool {
	const shortest = 4
	if len(name) < shortest {
		return false
	}
	for i := range len(name) {
		f := lookupLetter(cmd, name[i:i+1])
		if f == nil {
			return true // letters would be an error too
		}
		if f.NoOptDefVal == "" {
			return false // the rest is its value
		}
	}

	return false
}

func subcommand(cmd *cobra.Command, name string) *cobra.Command {
	for _, sub := range cmd.Commands() {
		if sub.Name() == name || sub.HasAlias(name) {
			return sub
		}
	}

	return nil
}

func lookup(cmd *cobra.Command, name string) *pflag.Flag {
	if f := cmd.Flags().Lookup(name); f != nil {
		return f
	}

	return cmd.InheritedFlags().Lookup(name)
}

func lookupLetter(cmd *cobra.Command, letter string) *pflag.Flag {
	if f := cmd.Flags().ShorthandLookup(letter); f != nil {
		return f
	}

	return cmd.InheritedFlags().ShorthandLookup(letter)
}

// lettersTakeNext reports whether the argument after a cluster of letters is the value of its last letter.
func lettersTakeNext(cmd *cobra.Command, letters string) bool {
	for i := range len(letters) {
		f := lookupLetter(cmd, letters[i:i+1])
		if f == nil {
			return false
		}
		if f.NoOptDefVal == "" {
			return i == len(letters)-1 // otherwise the rest of the cluster is the value
		}
	}

	return false
}

const annotationCommand = "tenure_command"

// TakesCommand declares that cmd runs a COMMAND, which follows its first arguments, as many as names, and "--".
func TakesCommand(cmd *cobra.Command, names int) {
	annotate(cmd, annotationCommand, strconv.Itoa(names))
}

func annotate(cmd *cobra.Command, key, value string) {
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	cmd.Annotations[key] = value
}

// takesCommand reports whether cmd runs a COMMAND, and after how many arguments.
func takesCommand(cmd *cobra.Command) (names int, ok bool) {
	names, err := strconv.Atoi(cmd.Annotations[annotationCommand])

	return names, err == nil
}

// Unexpected returns the error for the first argument too many of a command that [TakesCommand]: most likely COMMAND
// begins with it. The error shows the command line with "--" added.
func Unexpected(env *Env, cmd *cobra.Command, argument string) error {
	root := cmd.Root()
	names, _ := takesCommand(cmd)
	_, arguments := doubleDash(root, env.Args)
	if len(arguments) <= names || slices.Contains(env.Args, "--") && slices.Index(env.Args, "--") > arguments[names] {
		return fmt.Errorf("unexpected argument %q: %s", argument, see(cmd))
	}
	words := slices.Insert(slices.Clone(env.Args), arguments[names], "--")
	for i := range words[:arguments[names]] {
		words[i] = redacted(words[i])
	}

	return fmt.Errorf("unexpected argument %q: put -- before the command: %s %s", argument, root.Name(),
		shell.Join(words...))
}
