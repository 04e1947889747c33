// Package serverstats has the numbers that a server keeps about itself. Package servermetrics turns them into metrics.
package serverstats

import (
	"time"

	"tenure/internal/node"
)

// Server is a copy of the numbers of a server.
type Server struct {
	Ready        bool
	Failed       bool // a commit has failed
	Streams      int
	Limits       map[string]uint64 // refusals, by limit
	Denials      map[string]uint64 // callers that were not accepted, by reason
	StreamEnds   map[string]uint64 // by reason
	Calls        map[Call]uint64   // unary calls
	AuditDropped uint64
	GrantsIn     time.Duration // for how long the server grants nothing after a restore; 0: it grants
	Nodes        []Node        // those that are loaded, by path
	Cluster      *Cluster      // nil: no other server uses the store
}

// Call is a kind of request and its outcome.
type Call struct{ Method, Status string }

// Node is a copy of the numbers of a node. The counters are zero when the node is loaded.
type Node struct {
	Path     string
	Inbox    int
	Sizes    node.Sizes
	Wait     time.Duration // the longest wait so far of those who wait now; 0: nobody waits
	Hold     time.Duration // the longest hold so far
	Detached time.Duration // the longest hold so far by a detached session
	Load     time.Duration // time to load the node

	Counters

	Semaphores []Semaphore // see Admin.Watch
}

// Semaphore has the numbers of one semaphore.
type Semaphore struct {
	Name            string
	Owners, Waiters int
	Wait, Hold      time.Duration // of the first waiter and the first owner
}

// Counters are the numbers of a node that only grow.
type Counters struct {
	Granted, TimedOut, NotNow, Superseded, Refused uint64 // outcomes of acquires

	Ends     [node.NotImmediate + 1]uint64 // of grants, by node.Cause
	Requests [Methods][Statuses]uint64     // answered requests

	Waits          Histogram // seconds between an acquire and its grant
	Holds          Histogram // seconds between a grant and its end
	Commits        Histogram // seconds
	CommitRequests Histogram // replies in a batch that was committed
}

// Methods is the number of kinds of requests. They are the indexes in Counters.Requests.
const Methods = 9

// MethodNames are the names of the kinds of requests.
var MethodNames = [Methods]string{
	"attach", "stop", "acquire", "release", "create", "update", "delete", "describe", "failure",
}

// Statuses is the number of statuses. The index is (status - 400000) / 10.
const Statuses = 32

// method returns the index of the request that a message answers, and its status.
func method(m node.Message) (index int, status node.Status, ok bool) {
	switch m := m.(type) {
	case node.Attached:
		return 0, node.Success, true
	case node.Stopped:
		return 1, node.Success, true
	case node.Acquired:
		return 2, m.Status, true
	case node.Released:
		return 3, m.Status, true
	case node.Created:
		return 4, m.Status, true
	case node.Updated:
		return 5, m.Status, true
	case node.Deleted:
		return 6, m.Status, true
	case node.Described:
		return 7, m.Status, true
	case node.Failure:
		return 8, m.Status, true
	default:
		return 0, 0, false
	}
}

// Answer counts the request that a message answers.
func (c *Counters) Answer(m node.Message) {
	i, status, ok := method(m)
	if !ok {
		return
	}
	if s := int(status-node.Success) / 10; s >= 0 && s < Statuses {
		c.Requests[i][s]++
	}
	if i != 2 {
		return
	}
	switch status { // Event counts those that succeed
	case node.Success:
	case node.Aborted:
		c.Superseded++
	default:
		c.Refused++
	}
}

// Event counts an event of the node.
func (c *Counters) Event(e *node.Event) {
	switch e.Kind {
	case node.Granted:
		c.Granted++
		c.Waits.Observe(e.Took.Seconds())
	case node.Ended:
		c.Ends[e.Cause]++
		c.Holds.Observe(e.Took.Seconds())
	case node.GaveUp:
		switch e.Cause {
		case node.ByTimeout:
			c.TimedOut++
		case node.NotImmediate:
			c.NotNow++
		}
	case node.Shrunk, node.Waiting, node.SessionEnded, node.Destroyed:
	}
}
