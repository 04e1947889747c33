package server

import (
	"context"
	"log/slog"
	"time"

	"tenure/internal/audit"
	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/serverstats"
)

// observer counts what happens in a node and writes it to the audit log. It belongs to the goroutine of the node's
// owner. A nil observer does nothing.
type observer struct {
	path    string
	log     *slog.Logger
	clock   clock.Clock
	audit   *audit.Log        // nil: no audit log
	clients map[uint64]client // by session, of those that have attached since the node was loaded; nil without audit
	load    time.Duration
	wrote   bool // a line of the audit log about the current batch
	serverstats.Counters
}

// client is who has attached to a session.
type client struct{ user, peer string }

// newObserver returns nil if nobody wants to know.
func newObserver(path string, env *ownerEnv) *observer {
	if env.audit == nil && !env.stats {
		return nil
	}
	ob := &observer{path: path, log: env.log, clock: env.clock, audit: env.audit}
	if env.audit != nil {
		ob.clients = make(map[uint64]client)
	}

	return ob
}

// durable takes the events of a batch that has become durable, before any reply of the batch is sent. It reports
// whether it wrote lines to the audit log.
func (ob *observer) durable(fx *node.Effects) (wrote bool) {
	if ob == nil {
		return false
	}
	for i := range fx.Replies {
		ob.Answer(fx.Replies[i].Message)
	}
	if len(fx.Events) == 0 {
		return false
	}
	ob.wrote = false
	var now clock.Instant
	var date time.Time
	if ob.audit != nil {
		now = ob.clock.Now()
		date = ob.clock.Time(now)
	}
	for i := range fx.Events {
		e := &fx.Events[i]
		ob.Event(e)
		if e.Kind == node.Destroyed {
			ob.log.InfoContext(context.Background(), "semaphore deleted with force", "node", ob.path, "semaphore", e.Semaphore,
				"session", e.Session)
		}
		if ob.audit != nil {
			ob.record(e, date.Add(e.At.Sub(now)))
		}
	}

	return ob.wrote
}

// committed notes how long a commit took, and how many replies waited for it.
func (ob *observer) committed(took time.Duration, replies int) {
	ob.Commits.Observe(took.Seconds())
	ob.CommitRequests.Observe(float64(replies))
}

// attached notes who has attached to a session.
func (ob *observer) attached(s *stream) {
	if ob == nil || ob.clients == nil {
		return
	}
	ob.clients[s.session] = client{s.pass.caller.name(), s.pass.peer}
}

// record writes an event to the audit log.
func (ob *observer) record(e *node.Event, at time.Time) {
	kind, ok := auditKinds[e.Kind]
	switch {
	case e.Kind == node.SessionEnded:
		delete(ob.clients, e.Session)

		return
	case !ok || e.OrderID == 0 && e.Kind == node.GaveUp || !ob.audit.Wants(e.Semaphore):
		return
	}
	by := ob.clients[e.Session]
	line := audit.Event{
		Time: at, Kind: kind, Node: ob.path, Semaphore: e.Semaphore, Token: e.OrderID, Session: e.Session,
		User: by.user, Peer: by.peer, Who: audit.Who(e.Data), Count: e.Count, Reason: causes[e.Cause], AtLeast: e.AtLeast,
	}
	if e.Limit != unlimited {
		line.Limit = e.Limit
	}
	switch e.Kind {
	case node.Ended:
		line.Held = e.Took
	case node.Granted, node.GaveUp:
		line.Waited = e.Took
	case node.Shrunk, node.Waiting, node.SessionEnded, node.Destroyed:
	}
	ob.audit.Write(line)
	ob.wrote = true
}

// unlimited is the limit of an ephemeral semaphore.
const unlimited = 1<<64 - 1

var auditKinds = map[node.EventKind]audit.Kind{
	node.Granted: audit.Grant, node.Ended: audit.End, node.Shrunk: audit.Shrink, node.Waiting: audit.Wait,
	node.GaveUp: audit.GiveUp, node.Destroyed: audit.Deleted,
}

// causes are the names of causes in the audit log. CauseName has them for metrics.
var causes = [...]string{
	node.ByRelease: "released", node.ByStop: "stopped", node.ByExpiry: "expired", node.ByLifeline: "lifeline",
	node.ByOperator: "operator", node.ByDelete: "deleted", node.ByDrop: "dropped", node.ByTimeout: "timeout",
	node.NotImmediate: "not_now",
}

// stats copies the numbers of the node. It returns nil if nobody counts.
func (o *owner) stats() *serverstats.Node {
	if !o.env.stats {
		return nil
	}
	now := o.env.clock.Now()
	n := &serverstats.Node{
		Path: o.path, Inbox: o.inbox.length(), Sizes: o.node.Sizes(), Load: o.observer.load, Counters: o.observer.Counters,
	}
	ages := o.node.Ages()
	age := func(at clock.Instant) time.Duration {
		if at == 0 {
			return 0
		}

		return max(now.Sub(at), 1)
	}
	n.Wait, n.Hold, n.Detached = age(ages.Wait), age(ages.Hold), age(ages.Detached)
	if ages.WaitDate != 0 && ages.Wait <= o.lost { // it has waited since before the node was loaded
		n.Wait = max(n.Wait, o.env.clock.Time(now).Sub(time.UnixMilli(int64(ages.WaitDate))))
	}

	return n
}
