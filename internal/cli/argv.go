package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// doubleDash returns args with a second dash before every long flag that has but one, so that -ydb and --ydb are the
// same flag. It leaves alone what follows "--", the values of flags, and letters: -h, -nq, -w10s.
func doubleDash(cmd *cobra.Command, args []string) []string {
	out := slices.Clone(args)
	for i := 0; i < len(out) && out[i] != "--"; i++ {
		arg := out[i]
		if len(arg) < 2 || arg[0] != '-' {
			if sub := subcommand(cmd, arg); sub != nil {
				cmd = sub
			}

			continue
		}
		name, _, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		long := lookup(cmd, name)
		if arg[1] != '-' {
			letter := len(name) > 0 && lookupLetter(cmd, name[:1]) != nil
			if long == nil && letter || len(name) == 1 {
				if lettersTakeNext(cmd, name) && !hasValue {
					i++
				}

				continue
			}
			out[i] = "-" + arg // an unknown one too: the complaint then names all of it
		}
		if long != nil && long.NoOptDefVal == "" && !hasValue {
			i++ // its value, which may begin with a dash
		}
	}

	return out
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

// lettersTakeNext reports whether the argument after a cluster of letters is the value of its last one.
func lettersTakeNext(cmd *cobra.Command, letters string) bool {
	for i := range len(letters) {
		f := lookupLetter(cmd, letters[i:i+1])
		if f == nil {
			return false
		}
		if f.NoOptDefVal == "" {
			return i == len(letters)-1 // else the rest of the cluster is the value
		}
	}

	return false
}
