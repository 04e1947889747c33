// Command tenure runs a coordination server and shows its state.
package main

import (
	"os"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra"

	"tenure/internal/cli"
	"tenure/internal/lockcmd"
	"tenure/internal/workerscmd"
)

func main() { os.Exit(cli.Main(program(os.Args[0]))) }

// program returns the program for the name of a link to this one.
func program(argv0 string) cli.Builder {
	return cli.Choose(argv0, map[string]cli.Builder{"lock": lockcmd.Command, "workers": workerscmd.Command}, build)
}

func build(env *cli.Env) *cobra.Command {
	root := &cobra.Command{
		Use:     "tenure",
		Example: "tenure serve\ntenure status",
		Long:    "tenure runs a server for locks, semaphores and leases, for programs on one machine or on many.",
	}
	root.AddCommand(lockcmd.Command(env), workerscmd.Command(env), serveCommand(env), statusCommand(env),
		tokenCommand(env))
	root.AddCommand(whoCommand(env), watchCommand(env), lsCommand(env), checkCommand(env), semaphoreCommand(env),
		nodeCommand(env), releaseCommand(env), sessionCommand(env), doctorCommand(env),
		backupCommand(env), restoreCommand(env))
	root.AddCommand(
		cli.CompletionCommand(env, root, "lock", "workers"),
		cli.ManCommand(env, md2man.Render, root, lockcmd.Command(env), workerscmd.Command(env)),
	)

	return root
}
