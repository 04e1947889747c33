// Command tenure serves a coordination server and looks after it.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"tenure/internal/cli"
)

func main() { os.Exit(cli.Main(tenure)) }

func tenure(env *cli.Env) *cobra.Command {
	root := &cobra.Command{
		Use:     "tenure",
		Example: "tenure serve",
		Long:    "tenure serves locks, semaphores and leases to the programs of one machine or of many.",
	}
	root.AddCommand(serveCommand(env), statusCommand(env))

	return root
}
