package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"tenure/internal/cli"
	"tenure/internal/printable"
)

func nodeDrop(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "drop [flags] PATH",
		Short:   "drop a coordination node with everything in it",
		Example: "tenure node drop /local/app",
		Long: `tenure node drop removes a coordination node with all its sessions and semaphores. Holders lose their locks at
once, and may still be running when somebody else gets them in a new node, whose fencing tokens begin again at 1. So it
drops a node that has sessions only with --force. The embedded server and the admin address tell whether there are
sessions; without them, --force is needed too.`,
	}
	n := newNodeChanger(env, cmd, func(ctx context.Context, _ *nodeChanger, client *cli.Client, path string) error {
		return client.DropNode(ctx, path)
	}, "output")
	cli.AddFlags(cmd, cli.Flag{
		Name: "force", Value: &n.force, Group: groupNode, Usage: "also if the node has sessions",
	})
	drop := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !n.force {
			if err := n.unused(cmd.Context(), args[0]); err != nil {
				return err
			}
		}

		return drop(cmd, args)
	}

	return cmd
}

// unused checks the settings, and returns an error unless the node is known to have no sessions.
func (n *nodeChanger) unused(ctx context.Context, path string) error {
	if err := n.Check(); err != nil {
		return err
	}
	if err := n.CheckPath("PATH", path); err != nil {
		return err
	}
	refuse := func(text string, args ...any) error {
		return &cli.ExitError{Code: exitRefused, Err: fmt.Errorf("node %q "+text+": --force drops it all the same",
			append([]any{path}, args...)...)}
	}
	if !n.knowsStatus() {
		return refuse("may have sessions, whose locks would be lost")
	}
	status, err := n.status(ctx)
	if err != nil {
		return err
	}
	for _, s := range status.Nodes {
		if s.Path == path && s.Sessions > 0 {
			return refuse("has %s, whose locks would be lost", printable.Count(s.Sessions, "session", "sessions"))
		}
	}

	return nil
}
