// Command tenure runs a coordination server and shows its state.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"tenure/internal/cli"
)

func main() { os.Exit(cli.Main(build)) }

func build(env *cli.Env) *cobra.Command {
	root := &cobra.Command{
		Use:     "tenure",
		Example: "tenure serve\ntenure status",
		Long:    "tenure runs a server for locks, semaphores and leases, for programs on one machine or on many.",
	}
	root.AddCommand(serveCommand(env), statusCommand(env))
	root.AddCommand(cli.CompletionCommand(env, root), cli.ManCommand(env, root))

	return root
}
