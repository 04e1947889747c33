package cli

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"tenure/internal/embedded"
	"tenure/server"
)

// nameLimit is the time that a shell waits for names. A completion that takes longer is worse than none.
const nameLimit = 500 * time.Millisecond

// maxNames is how many names a shell is offered at most.
const maxNames = 1000

// CompleteNames makes shells complete the first argument of the command with the names of semaphores. They come from
// the process that hosts the embedded server, or otherwise from status. If status is nil, they come from the admin
// address that a variable names. It prints no errors and never starts a server: then the shell is offered nothing.
func (s *Session) CompleteNames(status func(context.Context) (server.Status, error)) {
	s.cmd.ValidArgsFunction = func(
		cmd *cobra.Command, args []string, _ string,
	) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			if _, ok := takesCommand(cmd); ok {
				return nil, cobra.ShellCompDirectiveDefault
			}

			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), nameLimit)
		defer cancel()

		return s.names(ctx, status), cobra.ShellCompDirectiveNoFileComp
	}
}

func (s *Session) names(ctx context.Context, status func(context.Context) (server.Status, error)) (names []string) {
	if setFromEnv(s.cmd, s.env.LookupEnv) != nil || setFromConfig(s.cmd, s.env.LookupEnv) != nil || s.Check() != nil {
		return nil
	}
	var all server.Status
	switch {
	case s.Embedded():
		report, err := embedded.Peek(ctx, s.Dir)
		if err != nil {
			return nil
		}
		all = report.Status
	default:
		if status == nil {
			status = s.adminStatus
		}
		var err error
		if all, err = status(ctx); err != nil {
			return nil
		}
	}
	for _, n := range all.Nodes {
		if n.Path != s.Path {
			continue
		}
		for _, semaphore := range n.Semaphores[:min(maxNames, len(n.Semaphores))] {
			if completable(semaphore.Name) {
				names = append(names, semaphore.Name)
			}
		}
	}

	return names
}

// adminStatus returns the status that the admin address of the server gives, if a variable names the address.
func (s *Session) adminStatus(ctx context.Context) (server.Status, error) {
	address, _ := s.env.LookupEnv(AdminVariable)
	client, err := AdminClient(s.env, s.cmd, address)
	if err != nil {
		return server.Status{}, err
	}

	return client.Status(ctx)
}

// completable reports whether a shell takes the name for one word: a line break or a tab would end it, and a control
// character could change the terminal.
func completable(name string) bool {
	return !slices.ContainsFunc([]rune(name), func(r rune) bool { return r <= ' ' || r == 0x7f || r == 0xfffd })
}
