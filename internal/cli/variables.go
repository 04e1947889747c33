package cli

import (
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// passed are the variables that lock and workers set for COMMAND. They are set while tenure runs below one of them.
var passed = []string{
	"TENURE_SEMAPHORE", "TENURE_TOKEN", "TENURE_TOKENS", "TENURE_SESSION_ID", "TENURE_NODE", "TENURE_HELD", "TENURE_FD",
	"TENURE_TASK", "TENURE_STATE_FILE", "TENURE_WORKER",
}

// Variables returns the names of all variables that root and its subcommands know, sorted.
func Variables(root *cobra.Command) []string {
	names := append([]string{ConfigVariable}, passed...)
	var add func(*cobra.Command)
	add = func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if s := settingOf(f); s != nil {
				names = append(names, s.row.Env)
			}
		})
		for _, sub := range cmd.Commands() {
			add(sub)
		}
	}
	add(root)
	slices.Sort(names)

	return slices.Compact(names)
}
