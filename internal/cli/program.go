package cli

import (
	"path/filepath"

	"github.com/spf13/cobra"
)

const annotationProgram = "tenure_program"

// Program declares that cmd is a program of its own when it is not a subcommand of another one. Its messages begin with
// its name in both cases.
func Program(cmd *cobra.Command) *cobra.Command {
	annotate(cmd, annotationProgram, "yes")

	return cmd
}

func isProgram(cmd *cobra.Command) bool { return cmd.Annotations[annotationProgram] != "" }

// ProgramName returns the name with which the messages of cmd begin: that of the program that cmd belongs to.
func ProgramName(cmd *cobra.Command) string {
	for cmd.HasParent() && !isProgram(cmd) {
		cmd = cmd.Parent()
	}

	return cmd.Name()
}

// Choose returns the builder of the program that has the name of the file argv0, or otherwise the builder of the
// default. It lets one file with several links be several programs.
func Choose(argv0 string, programs map[string]Builder, otherwise Builder) Builder {
	if build, ok := programs[filepath.Base(argv0)]; ok {
		return build
	}

	return otherwise
}

// A Builder makes the command of a program, with its subcommands.
type Builder = func(*Env) *cobra.Command
