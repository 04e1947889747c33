package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/cli"
	"tenure/internal/ydberr"
)

// A nodeChanger is a command about a coordination node.
type nodeChanger struct {
	*looker

	check, grace             time.Duration // 0: not given
	read, attach, ratelimits string        // empty: not given
	force                    bool
	config                   coordination.NodeConfig // the settings that are given
}

func nodeCommand(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "node",
		Short:   "create, show, change and drop coordination nodes",
		Example: "tenure node create /local/app\ntenure node describe /local/app",
		Long: `tenure node manages coordination nodes. A node has its own sessions and semaphores, and its own fencing tokens.
lock and workers create the node that they use, unless they have --no-create.`,
	}
	cmd.AddCommand(nodeCreate(env), nodeDescribe(env), nodeAlter(env), nodeDrop(env))

	return cmd
}

const groupNode = "Node"

// A nodeAction is what a command does with the node at the path.
type nodeAction func(ctx context.Context, n *nodeChanger, client *cli.Client, path string) error

// newNodeChanger adds to cmd the flags of all such commands, and makes it connect and do the action.
func newNodeChanger(env *cli.Env, cmd *cobra.Command, do nodeAction, omit ...string) *nodeChanger {
	n := &nodeChanger{looker: newLooker(env, cmd, pathArgument, append(omit, "path")...)}
	cli.Groups(cmd, groupNode, cli.GroupWhere, groupOther)
	cmd.Long += nodeExit
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return n.run(cmd.Context(), args[0], do) }

	return n
}

const nodeExit = `

Exit code:
  0 done; 1 the node does not exist, or is in use; 125 failed`

func (n *nodeChanger) settings() []cli.Flag {
	mode := func(name string, value *string, usage string, values ...string) cli.Flag {
		return cli.Flag{
			Name: name, Arg: "MODE", Example: values[0], Values: values, Value: value, Group: groupNode,
			Usage: usage + ": " + strings.Join(values, " or "), Check: cli.OneOf(value, values...),
		}
	}

	return []cli.Flag{
		{
			Name: "self-check-period", Arg: "D", Example: "1s", Value: &n.check, Group: groupNode,
			Usage: "how often the node checks that it is alive (default 1s)", Check: cli.Positive(&n.check),
			Default: func() (value, source string, err error) { return "", "not given", nil },
		},
		{
			Name: "session-grace-period", Arg: "D", Example: "10s", Value: &n.grace, Group: groupNode,
			Usage: "how much longer sessions live after a restart of the server (default 10s)",
			Check: cli.Positive(&n.grace), Default: func() (value, source string, err error) { return "", "not given", nil },
		},
		mode("read-consistency", &n.read, "for reads", "strict", "relaxed"),
		mode("attach-consistency", &n.attach, "for attaches", "strict", "relaxed"),
		mode("rate-limiter-counters", &n.ratelimits, "counters of rate limiters", "aggregated", "detailed"),
	}
}

// readSettings notes the settings that are given.
func (n *nodeChanger) readSettings() error {
	c := &n.config
	for _, d := range []struct {
		flag  string
		value time.Duration
		field *uint32
	}{
		{"self-check-period", n.check, &c.SelfCheckPeriodMillis},
		{"session-grace-period", n.grace, &c.SessionGracePeriodMillis},
	} {
		ms := d.value.Milliseconds()
		if ms > math.MaxUint32 || d.value > 0 && ms == 0 {
			return fmt.Errorf("%s=%v is out of range: must be between 1ms and %v", cli.Setting(n.cmd, d.flag), d.value,
				math.MaxUint32*time.Millisecond)
		}
		*d.field = uint32(ms) //nolint:gosec // checked above
	}
	modes := map[string]coordination.ConsistencyMode{
		"strict": coordination.ConsistencyModeStrict, "relaxed": coordination.ConsistencyModeRelaxed,
	}
	c.ReadConsistencyMode, c.AttachConsistencyMode = modes[n.read], modes[n.attach]
	c.RatelimiterCountersMode = map[string]coordination.RatelimiterCountersMode{
		"aggregated": coordination.RatelimiterCountersModeAggregated,
		"detailed":   coordination.RatelimiterCountersModeDetailed,
	}[n.ratelimits]

	return nil
}

// run checks the path, connects and does the action.
func (n *nodeChanger) run(ctx context.Context, path string, do nodeAction) error {
	if err := n.readSettings(); err != nil {
		return err
	}
	if err := n.Check(); err != nil {
		return err
	}
	if err := n.CheckPath("PATH", path); err != nil {
		return err
	}
	client, done, err := n.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := do(ctx, n, client, path); ydberr.NoNode(err) {
		return &cli.ExitError{Code: exitRefused, Err: fmt.Errorf("node %q does not exist", path)}
	} else if err != nil {
		return err
	}

	return nil
}

func nodeCreate(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "create [flags] PATH",
		Short:   "create a coordination node",
		Example: "tenure node create /local/app\ntenure node create --session-grace-period 20s /local/app",
		Long: `tenure node create creates a coordination node, and the directories above it. If the node exists, it stays as
it is.`,
	}
	n := newNodeChanger(env, cmd, func(ctx context.Context, n *nodeChanger, client *cli.Client, path string) error {
		return client.CreateNode(ctx, path, n.config)
	}, "output")
	cli.AddFlags(cmd, n.settings()...)

	return cmd
}

func nodeAlter(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "alter [flags] PATH",
		Short:   "change settings of a coordination node",
		Example: "tenure node alter --session-grace-period 20s /local/app",
		Long:    `tenure node alter changes the settings that are given, and leaves the others as they are.`,
	}
	n := newNodeChanger(env, cmd, func(ctx context.Context, n *nodeChanger, client *cli.Client, path string) error {
		if n.config == (coordination.NodeConfig{}) {
			return errors.New("no setting is given: write e.g. tenure node alter --session-grace-period 20s PATH")
		}

		return client.AlterNode(ctx, path, n.config)
	}, "output")
	cli.AddFlags(cmd, n.settings()...)

	return cmd
}
