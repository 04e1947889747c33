package server

import (
	"context"
	"log/slog"

	"tenure/internal/audit"
	"tenure/internal/clock"
	"tenure/internal/node"
)

// The labels under which denials are counted that are not due to what a caller has shown.
const (
	denialRights = "rights"         // the caller lacks a right
	denialKey    = "protection_key" // the caller does not know the key of the session
)

// denials reports callers that are refused because of who they are. Metrics count each time. The log and the audit log
// have one line a minute for each caller and reason, with the number of times: otherwise a caller without any rights
// could fill the audit log until its older lines are gone. Its methods are safe for concurrent use.
type denials struct {
	counts  *labelled
	audit   *audit.Log // nil: none
	log     *slog.Logger
	repeats *repeats[denial]
}

// denial tells denials apart.
type denial struct{ node, user, peer, who, reason string }

func newDenials(counts *labelled, lines *audit.Log, log *slog.Logger, clk clock.Clock) *denials {
	merge := func(d denial) denial { return denial{reason: d.reason} }

	return &denials{counts: counts, audit: lines, log: log, repeats: newRepeats(clk, merge)}
}

// add counts a denial, and writes the event to the audit log if it is due. If so, the caller logs it too, with the
// number of times since the last report.
func (d *denials) add(e audit.Event, label string) (number uint64, due bool) {
	d.counts.add(label)
	number, due = d.repeats.due(denial{e.Node, e.User, e.Peer, e.Who, e.Reason})
	if due {
		e.Times = number
		d.audit.Write(e)
	}

	return number, due
}

// lacks reports a request whose caller lacks a right on the path. It returns true if the audit log has a line about it.
func (d *denials) lacks(user, peer, path, right string) (reported bool) {
	e := audit.Event{Kind: audit.Denied, Node: path, User: user, Peer: peer, Reason: "needs " + right}
	number, due := d.add(e, denialRights)
	if due {
		d.log.InfoContext(context.Background(), "request refused: the caller lacks a right",
			"user", user, "node", path, "right", right, "address", peer, "refused", number)
	}

	return due
}

// checkKey reports an attach that was refused because of a wrong protection key: somebody tries to take over a session
// of somebody else. It is called when the request has been applied, before its answer is released, because the answer
// may have to wait for the audit log.
func (o *owner) checkKey(in input) {
	if _, ok := in.req.(node.Attach); !ok {
		return
	}
	answer, s := o.next.fx.Replies[len(o.next.fx.Replies)-1], in.stream
	if f, ok := answer.Message.(node.Failure); !ok || f.Issue != node.WrongKey {
		return
	}
	e := audit.Event{Kind: audit.Denied, Node: o.path, User: s.pass.caller.name(), Peer: s.pass.peer, Reason: denialKey}
	if number, due := o.env.denials.add(e, denialKey); due {
		s.log().WarnContext(context.Background(), "attach with a wrong protection key", "address", s.pass.peer,
			"refused", number)
		o.next.refused = true
	}
}
