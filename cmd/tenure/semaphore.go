package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/internal/cli"
	"tenure/internal/limit"
	"tenure/internal/look"
	"tenure/internal/shell"
	"tenure/internal/ydberr"
)

// exitRefused is the exit code of a command that the present state of a semaphore or a node does not allow.
const exitRefused = 1

func semaphoreCommand(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "semaphore",
		Short:   "create, change and delete semaphores",
		Example: "tenure semaphore create --limit 4 build\ntenure semaphore delete build",
		Long: `tenure semaphore manages semaphores that exist whether or not somebody holds them. lock needs none of this: it
creates what it uses.`,
	}
	cmd.AddCommand(semaphoreCreate(env), semaphoreSet(env), semaphoreDelete(env))

	return cmd
}

const refusedHelp = `

Exit code:
  0 done; 1 the semaphore is not in a state that allows it; 125 failed`

// A changer is a command that changes a semaphore or a node.
type changer struct {
	*looker

	limit uint64
	data  string
	force bool
	raw   []byte // the data
}

// newChanger adds the flags of all commands about a semaphore to cmd.
func newChanger(env *cli.Env, cmd *cobra.Command) *changer {
	c := &changer{looker: newLooker(env, cmd, nameArgument, "output")}
	cli.Groups(cmd, groupSemaphore, cli.GroupWhere, groupOther)
	cmd.Long += refusedHelp

	return c
}

func semaphoreCreate(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "create [flags] NAME",
		Short:   "create a semaphore",
		Example: "tenure semaphore create --limit 4 build",
		Long: `tenure semaphore create creates a semaphore with a limit, which cannot be changed later. It creates the
coordination node if that is missing. "lock --limit 4 build" creates the same semaphore, if it does not exist, and uses
it.`,
	}
	c := newChanger(env, cmd)
	cli.Describe(cmd, "path", cli.GroupWhere, "coordination node, created if missing (default <database>/tenure)")
	cli.AddFlags(cmd, c.NoCreateFlag(), cli.Flag{
		Name: "limit", Arg: "N", Example: "4", Value: &c.limit, Group: groupSemaphore,
		Usage: "how much of it there is (must be given)", Check: cli.AtLeastOne(&c.limit),
		Default: func() (value, source string, err error) { return "", "not given", nil },
	}, c.dataFlag())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if c.limit == 0 {
			return fmt.Errorf("--limit is missing: write e.g. tenure semaphore create --limit 4 %s", shell.Quote(args[0]))
		}

		return c.change(cmd.Context(), args[0], !c.NoCreate, func(ctx context.Context, s coordination.Session) error {
			return s.CreateSemaphore(ctx, args[0], c.limit, options.WithCreateData(c.raw))
		})
	}

	return cmd
}

func semaphoreSet(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "set [flags] NAME",
		Short:   "set the data of a semaphore",
		Example: "tenure semaphore set --data 'see ticket 17' build\ntenure semaphore set --data @config.json build",
		Long: `tenure semaphore set replaces the data of a semaphore, which everybody can read who looks at it. It does not
change the limit, and no holder or waiter notices it unless they watch the data.`,
	}
	c := newChanger(env, cmd)
	cli.AddFlags(cmd, c.dataFlag())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !cli.Given(cmd, "data") {
			return fmt.Errorf("--data is missing: write e.g. tenure semaphore set --data TEXT %s", shell.Quote(args[0]))
		}

		return c.change(cmd.Context(), args[0], false, func(ctx context.Context, s coordination.Session) error {
			return s.UpdateSemaphore(ctx, args[0], options.WithUpdateData(c.raw))
		})
	}

	return cmd
}

func semaphoreDelete(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delete [flags] NAME",
		Short:   "delete a semaphore",
		Example: "tenure semaphore delete build",
		Long: `tenure semaphore delete deletes a semaphore that nobody holds and nobody waits for. With --force, it deletes
the semaphore also if it is in use: the holders lose it, and may still be running when somebody else gets a new
semaphore with this name. The waiters fail. A semaphore of lock without --limit cannot be deleted, because it disappears
by itself when nobody uses it.`,
	}
	c := newChanger(env, cmd)
	cli.AddFlags(cmd, cli.Flag{
		Name: "force", Value: &c.force, Group: groupSemaphore, Usage: "also if somebody holds it or waits for it",
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var lost look.Semaphore
		err := c.change(cmd.Context(), args[0], false, func(ctx context.Context, s coordination.Session) (err error) {
			if lost, _, err = look.Describe(ctx, s, args[0]); err != nil {
				return err
			}

			return s.DeleteSemaphore(ctx, args[0], options.WithForceDelete(c.force))
		})
		if err == nil {
			for _, h := range lost.Holders {
				c.complain(fmt.Sprintf("%s has lost %q, token %d, and may still be running", h.Who, args[0], h.Token))
			}
		}

		return err
	}

	return cmd
}

// Groups of flags in the help.
const (
	groupSemaphore = "Semaphore"
	groupOther     = "Other"
)

func (c *changer) dataFlag() cli.Flag {
	return cli.Flag{
		Name: "data", Arg: "TEXT", Example: "TEXT", Env: "TENURE_SEMAPHORE_DATA", Value: &c.data, Group: groupSemaphore,
		Usage: "data that everybody can read; @FILE reads a file, @- standard input",
	}
}

// change opens a session and calls do, after all checks. It creates a missing node if create is set.
func (c *changer) change(
	ctx context.Context, name string, create bool, do func(context.Context, coordination.Session) error,
) error {
	if err := c.readData(); err != nil {
		return err
	}
	if err := c.Check(); err != nil {
		return err
	}
	client, done, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	session, err := c.Look(ctx, client)
	if ydberr.NoNode(err) && create {
		if err := client.CreateNode(ctx, c.Path, coordination.NodeConfig{}); err != nil {
			return err
		}
		session, err = c.Look(ctx, client)
	}
	if err != nil {
		return err
	}
	defer cli.EndLook(ctx, session)

	return refused(name, do(ctx, session))
}

// refused explains a refusal of the server that the state of the semaphore is the reason for.
func refused(name string, err error) error {
	said := ""
	if err != nil {
		said = ydberr.Text(err)
	}
	var text string
	switch {
	case ydberr.Is(err, Ydb.StatusIds_ALREADY_EXISTS):
		text = "already exists: its limit cannot be changed, and tenure semaphore set changes its data"
	case ydberr.Is(err, Ydb.StatusIds_NOT_FOUND):
		text = "does not exist"
	case !ydberr.Is(err, Ydb.StatusIds_PRECONDITION_FAILED):
		return err
	case strings.Contains(said, "not empty"):
		text = "is in use: tenure who shows by whom, and --force deletes it all the same"
	case strings.Contains(said, "due to ephemeral"):
		text = "is in use as a lock without a limit"
	case strings.Contains(said, "Cannot delete ephemeral"):
		text = "is a lock without a limit, which disappears by itself when nobody uses it"
	default:
		return err
	}

	return &cli.ExitError{Code: exitRefused, Err: fmt.Errorf("semaphore %q %s", name, text)}
}

// readData reads the data that --data names.
func (c *changer) readData() error {
	setting := cli.Setting(c.cmd, "data")
	file, ok := strings.CutPrefix(c.data, "@")
	if !ok {
		c.raw = []byte(c.data)
	} else {
		from, name := c.env.Stdin, "standard input"
		if file != "-" {
			f, err := os.Open(file)
			if err != nil {
				return fmt.Errorf("%s=%q: %w", setting, c.data, err)
			}
			defer f.Close()
			from, name = f, file
		}
		var err error
		if c.raw, err = io.ReadAll(io.LimitReader(from, limit.Data+1)); err != nil {
			return fmt.Errorf("%s=%q: read %s: %w", setting, c.data, name, errors.Unwrap(err))
		}
	}
	if len(c.raw) > limit.Data {
		return fmt.Errorf("%s has more than %d bytes, which is the limit", setting, limit.Data)
	}

	return nil
}
