package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Arguments returns a check that a command has exactly these arguments, such as NAME. None of them may be empty. One in
// brackets, such as [GLOB], may be left out; it must be the last one.
func Arguments(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		for i, name := range names {
			optional := strings.HasPrefix(name, "[")
			switch {
			case i >= len(args) && optional:
				return nil
			case i >= len(args):
				return fmt.Errorf("%s is missing: %s", name, example(cmd))
			case args[i] == "":
				return fmt.Errorf("%s is empty: %s", strings.Trim(name, "[]"), example(cmd))
			}
		}
		if len(args) > len(names) {
			return fmt.Errorf("unexpected argument %q: %s", args[len(names)], see(cmd))
		}

		return nil
	}
}

// example shows how to call the command: the first line of its examples.
func example(cmd *cobra.Command) string {
	first, _, _ := strings.Cut(cmd.Example, "\n")

	return "write e.g. " + first
}
