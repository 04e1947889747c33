package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/scheme"

	"tenure/internal/cli"
	"tenure/internal/printable"
)

func nodeDescribe(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "describe [flags] PATH",
		Short:   "show a coordination node and its settings",
		Example: "tenure node describe /local/app",
		Long:    `tenure node describe shows the owner and the settings of a coordination node.`,
	}
	newNodeChanger(env, cmd, func(ctx context.Context, n *nodeChanger, client *cli.Client, path string) error {
		entry, c, err := client.DescribeNode(ctx, path)
		if err != nil {
			return err
		}
		d := newDescribed(path, entry, c)

		return n.print(d, d.text)
	})

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
