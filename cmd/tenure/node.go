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
	"github.com/ydb-platform/ydb-go-sdk/v3/scheme"

	"tenure/internal/cli"
	"tenure/internal/printable"
	"tenure/internal/ydberr"
)

// A nodeChanger is a command about a coordination node.
type nodeChanger struct {
	*looker

	check, grace             time.Duration // 0: not given
	read, attach, ratelimits string        // empty: not given
	force                    bool
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

// newNodeChanger adds the flags of all such commands. The settings are those of a node.
func newNodeChanger(env *cli.Env, cmd *cobra.Command, settings bool, omit ...string) *nodeChanger {
	n := &nodeChanger{looker: newLooker(env, cmd, pathArgument, append(omit, "path")...)}
	cli.Groups(cmd, groupNode, cli.GroupWhere, groupOther)
	if settings {
		cli.AddFlags(cmd, n.settings()...)
	}

	return n
}

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

// config returns the settings that are given.
func (n *nodeChanger) config() (c coordination.NodeConfig, err error) {
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
			return c, fmt.Errorf("%s=%v is out of range: must be between 1ms and %v", cli.Setting(n.cmd, d.flag), d.value,
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

	return c, nil
}

// run checks the path, connects and calls do.
func (n *nodeChanger) run(
	ctx context.Context, path string, do func(context.Context, *cli.Client, coordination.NodeConfig) error,
) error {
	config, err := n.config()
	if err != nil {
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
	if err := do(ctx, client, config); ydberr.NoNode(err) {
		return &cli.ExitError{Code: exitRefused, Err: fmt.Errorf("node %q does not exist", path)}
	} else if err != nil {
		return err
	}

	return nil
}

const nodeExit = `

Exit code:
  0 done; 1 the node does not exist, or is in use; 125 failed`

func nodeCreate(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "create [flags] PATH",
		Short:   "create a coordination node",
		Example: "tenure node create /local/app\ntenure node create --session-grace-period 20s /local/app",
		Long: `tenure node create creates a coordination node, and the directories above it. If the node exists, it stays as
it is.` + nodeExit,
	}
	n := newNodeChanger(env, cmd, true, "output")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return n.run(cmd.Context(), args[0],
			func(ctx context.Context, client *cli.Client, c coordination.NodeConfig) error {
				return client.CreateNode(ctx, args[0], c)
			})
	}

	return cmd
}

func nodeAlter(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "alter [flags] PATH",
		Short:   "change settings of a coordination node",
		Example: "tenure node alter --session-grace-period 20s /local/app",
		Long:    `tenure node alter changes the settings that are given, and leaves the others as they are.` + nodeExit,
	}
	n := newNodeChanger(env, cmd, true, "output")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return n.run(cmd.Context(), args[0],
			func(ctx context.Context, client *cli.Client, c coordination.NodeConfig) error {
				if c == (coordination.NodeConfig{}) {
					return errors.New("no setting is given: write e.g. tenure node alter --session-grace-period 20s PATH")
				}

				return client.AlterNode(ctx, args[0], c)
			})
	}

	return cmd
}

// A described is what node describe prints. A setting that is not set is absent.
type described struct {
	Path         string `json:"path"`
	Owner        string `json:"owner"`
	SelfCheck    uint32 `json:"self_check_period_ms,omitempty"`
	Grace        uint32 `json:"session_grace_period_ms,omitempty"`
	Read         string `json:"read_consistency,omitempty"`
	Attach       string `json:"attach_consistency,omitempty"`
	RateLimiters string `json:"rate_limiter_counters,omitempty"`
}

func newDescribed(path string, entry *scheme.Entry, c *coordination.NodeConfig) described {
	modes := map[coordination.ConsistencyMode]string{
		coordination.ConsistencyModeStrict: "strict", coordination.ConsistencyModeRelaxed: "relaxed",
	}

	return described{
		Path: path, Owner: entry.Owner, SelfCheck: c.SelfCheckPeriodMillis, Grace: c.SessionGracePeriodMillis,
		Read: modes[c.ReadConsistencyMode], Attach: modes[c.AttachConsistencyMode],
		RateLimiters: map[coordination.RatelimiterCountersMode]string{
			coordination.RatelimiterCountersModeAggregated: "aggregated",
			coordination.RatelimiterCountersModeDetailed:   "detailed",
		}[c.RatelimiterCountersMode],
	}
}

// text returns the node for people.
func (d described) text() string {
	var lines [][]string
	period := func(name string, ms uint32) {
		value := "default"
		if ms > 0 {
			value = (time.Duration(ms) * time.Millisecond).String()
		}
		lines = append(lines, []string{name, value})
	}
	lines = append(lines, []string{"owner", d.Owner})
	period("self-check-period", d.SelfCheck)
	period("session-grace-period", d.Grace)
	for _, mode := range [][2]string{
		{"read-consistency", d.Read}, {"attach-consistency", d.Attach}, {"rate-limiter-counters", d.RateLimiters},
	} {
		if mode[1] == "" {
			mode[1] = "default"
		}
		lines = append(lines, mode[:])
	}

	return printable.Columns([]string{"node", d.Path}, lines)
}

func nodeDescribe(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "describe [flags] PATH",
		Short:   "show a coordination node and its settings",
		Example: "tenure node describe /local/app",
		Long:    `tenure node describe shows the owner and the settings of a coordination node.` + nodeExit,
	}
	n := newNodeChanger(env, cmd, false)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return n.run(cmd.Context(), args[0],
			func(ctx context.Context, client *cli.Client, _ coordination.NodeConfig) error {
				entry, c, err := client.DescribeNode(ctx, args[0])
				if err != nil {
					return err
				}
				d := newDescribed(args[0], entry, c)

				return n.print(d, d.text)
			})
	}

	return cmd
}

func nodeDrop(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "drop [flags] PATH",
		Short:   "drop a coordination node with everything in it",
		Example: "tenure node drop /local/app",
		Long: `tenure node drop removes a coordination node with all its sessions and semaphores. Holders lose their locks at
once, and may still be running when somebody else gets them in a new node, whose fencing tokens begin again at 1. So it
drops a node that has sessions only with --force. The embedded server and the admin address tell whether there are
sessions; without them, --force is needed too.` + nodeExit,
	}
	n := newNodeChanger(env, cmd, false, "output")
	cli.AddFlags(cmd, cli.Flag{
		Name: "force", Value: &n.force, Group: groupNode, Usage: "also if the node has sessions",
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return n.drop(cmd.Context(), args[0])
	}

	return cmd
}

func (n *nodeChanger) drop(ctx context.Context, path string) error {
	if err := n.Check(); err != nil {
		return err
	}
	if err := n.CheckPath("PATH", path); err != nil {
		return err
	}
	if !n.force {
		if err := n.unused(ctx, path); err != nil {
			return err
		}
	}

	return n.run(ctx, path, func(ctx context.Context, client *cli.Client, _ coordination.NodeConfig) error {
		return client.DropNode(ctx, path)
	})
}

// unused returns an error unless the node is known to have no sessions.
func (n *nodeChanger) unused(ctx context.Context, path string) error {
	refuse := func(text string, args ...any) error {
		return &cli.ExitError{Code: exitRefused, Err: fmt.Errorf("node %q "+text+": --force drops it all the same",
			append([]any{path}, args...)...)}
	}
	if !n.knowsStatus() {
		return refuse("may have sessions, which would lose their locks")
	}
	status, err := n.status(ctx)
	if err != nil {
		return err
	}
	for _, s := range status.Nodes {
		if s.Path == path && s.Sessions > 0 {
			return refuse("has %d sessions, which would lose their locks", s.Sessions)
		}
	}

	return nil
}
