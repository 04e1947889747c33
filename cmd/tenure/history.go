package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"tenure/internal/audit"
	"tenure/internal/cli"
	"tenure/internal/identity"
	"tenure/internal/printable"
)

// exitTwoHolders is the exit code of who --history if the limit was exceeded.
const exitTwoHolders = 1

// A history is what who does with an audit log.
type history struct {
	*looker

	history bool
	audit   string
}

func (h *history) flags() []cli.Flag {
	return []cli.Flag{
		{
			Name: "history", Value: &h.history, Group: cli.GroupLooking,
			Usage: "read the grants of the past from the audit log of a server",
		},
		{
			Name: "audit", Arg: "FILE", Example: "/var/log/tenure/audit.log", Value: &h.audit, Group: cli.GroupLooking,
			Usage:   "with --history: the file in --audit of \"tenure serve\"",
			Default: func() (value, source string, err error) { return "", "not given", nil },
		},
	}
}

// A past is what who --history prints of a grant.
type past struct {
	Node       string     `json:"node"`
	Name       string     `json:"name"`
	Token      uint64     `json:"token"`
	Session    uint64     `json:"session"`
	Who        string     `json:"who"`
	User       string     `json:"user,omitempty"`
	Peer       string     `json:"peer,omitempty"`
	Count      uint64     `json:"count,omitempty"`       // absent: the semaphore has no limit
	Begin      *time.Time `json:"begin,omitempty"`       // absent: before the log begins
	End        *time.Time `json:"end,omitempty"`         // absent: the log does not have it
	Cause      string     `json:"cause,omitempty"`       // of the end
	Unfinished bool       `json:"unfinished,omitempty"`  // the server has started again since the begin
	Overlaps   []uint64   `json:"overlaps,omitempty"`    // tokens that were in force when this grant began
	TwoHolders bool       `json:"two_holders,omitempty"` // together with these, it exceeded the limit
}

func newPast(i audit.Interval) past {
	p := past{
		Node: i.Node, Name: i.Semaphore, Token: i.Token, Session: i.Session, Who: identity.ReadCard([]byte(i.Who)).Who,
		User: i.User, Peer: i.Peer, Cause: i.Cause, Unfinished: i.Unfinished, Overlaps: i.Overlaps, TwoHolders: i.Excess,
	}
	p.Who = cmp.Or(p.Who, fmt.Sprintf("session %d", i.Session))
	if i.Limit > 0 {
		p.Count = i.Count
	}
	if !i.Time.IsZero() {
		p.Begin = &i.Time
	}
	if !i.Until.IsZero() {
		p.End = &i.Until
	}

	return p
}

// A verdict is the last line of who --history.
type verdict struct {
	TwoHolders bool       `json:"two_holders"` // there were more holders at the same time than the limit allows
	Grants     int        `json:"grants"`
	From       *time.Time `json:"from,omitempty"` // what the log covers; absent: it is empty
	To         *time.Time `json:"to,omitempty"`
	Damaged    int        `json:"damaged"`            // lines that are not events
	Repeated   int        `json:"repeated,omitempty"` // lines that are in the log twice
	Missing    uint64     `json:"missing_tokens,omitempty"`
}

func (h *history) run(name string) error {
	if h.audit == "" || h.audit == "-" {
		return errors.New("--audit is missing: pass the file that \"tenure serve --audit\" writes, or a copy of it")
	}
	if h.Path != "" && !strings.HasPrefix(h.Path, "/") {
		return fmt.Errorf("%s=%q is not absolute: write e.g. /local/%s", cli.Setting(h.cmd, "path"), h.Path, h.Path)
	}
	log, err := audit.ReadHistory(h.audit, h.Path, name)
	if err != nil {
		if failed, ok := errors.AsType[*fs.PathError](err); ok {
			err = failed.Err
		}

		return fmt.Errorf("%s=%q: %w", cli.Setting(h.cmd, "audit"), h.audit, err)
	}
	v := verdict{
		TwoHolders: len(log.TwoHolders()) > 0, Grants: len(log.Intervals), Damaged: log.Skipped, Repeated: log.Repeated,
		Missing: log.Missing,
	}
	if !log.From.IsZero() {
		v.From, v.To = &log.From, &log.To
	}
	grants := make([]past, 0, len(log.Intervals))
	for _, i := range log.Intervals {
		grants = append(grants, newPast(i))
	}
	if err := h.show(name, grants, v); err != nil {
		return err
	}
	if v.TwoHolders {
		return &cli.ExitError{Code: exitTwoHolders}
	}

	return nil
}

// show prints the grants and the verdict.
func (h *history) show(name string, grants []past, v verdict) error {
	if h.output != "json" {
		return h.print(nil, func() string { return historyTable(grants) + v.text(name, grants, h.env.Style()) })
	}
	for _, p := range grants {
		if err := h.print(p, nil); err != nil {
			return err
		}
	}

	return h.print(v, nil)
}

// historyTable returns the grants for people. The column of nodes is there if there are several.
func historyTable(grants []past) string {
	several := slices.ContainsFunc(grants, func(p past) bool { return p.Node != grants[0].Node })
	lines := make([][]string, 0, len(grants))
	for _, p := range grants {
		node, begin, end, held := "", "before the log", "not yet", ""
		if several {
			node = p.Node
		}
		if p.Begin != nil {
			begin = p.Begin.Local().Format(time.DateTime)
		}
		switch {
		case p.End != nil:
			end = p.End.Local().Format(time.DateTime)
		case p.Unfinished:
			end = "unknown"
		}
		if p.Begin != nil && p.End != nil {
			held = cli.Elapsed(p.End.Sub(*p.Begin))
		}
		count := ""
		if p.Count > 0 {
			count = strconv.FormatUint(p.Count, 10)
		}
		remark := ""
		if p.TwoHolders {
			remark = "TWO HOLDERS: with token " + joined(p.Overlaps)
		}
		lines = append(lines, []string{
			node, begin, end, held, strconv.FormatUint(p.Token, 10), p.Who, p.User, count, p.Cause, remark,
		})
	}

	return printable.Columns(printable.Used([]string{
		"NODE", "BEGIN", "END", "FOR", "TOKEN", "WHO", "USER", "COUNT", "CAUSE", "REMARKS",
	}, lines))
}

func joined(tokens []uint64) string {
	var all []string
	for _, token := range tokens {
		all = append(all, strconv.FormatUint(token, 10))
	}

	return strings.Join(all, ", ")
}

// text says whether there were two holders, and what the log cannot show.
func (v verdict) text(name string, grants []past, style printable.Style) string {
	var b strings.Builder
	switch {
	case v.From == nil:
		return "the log is empty\n"
	case v.Grants == 0:
		fmt.Fprintf(&b, "the log has no grant of %q", name)
	case v.TwoHolders:
		fmt.Fprintf(&b, "%q %s", name, style.Bad("had more holders at the same time than its limit allows"))
	default:
		fmt.Fprintf(&b, "%q %s", name, style.Good("never had more holders at the same time than its limit allows"))
	}
	fmt.Fprintf(&b, ", from %s to %s\n", v.From.Local().Format(time.DateTime), v.To.Local().Format(time.DateTime))
	b.WriteString("not in the log: what was before, grants that --audit-only leaves out, and events that the server has " +
		"dropped, which its log and tenure_audit_dropped_total tell\n")
	if v.Damaged > 0 {
		fmt.Fprintf(&b, "lines that are damaged and may hide grants: %d\n", v.Damaged)
	}
	if v.Repeated > 0 {
		fmt.Fprintf(&b, "lines that are in the log twice, as if a file was copied, and count once: %d\n", v.Repeated)
	}
	if v.Missing > 0 {
		fmt.Fprintf(&b, "tokens that the log skips, and that may be of grants of %q: %d; a file may be missing, or see "+
			"above\n", name, v.Missing)
	}
	if n := len(slices.DeleteFunc(slices.Clone(grants), func(p past) bool { return !p.Unfinished })); n > 0 {
		fmt.Fprintf(&b, "grants that were in force when the server started again, and whose end is missing: %d\n", n)
	}

	return b.String()
}
