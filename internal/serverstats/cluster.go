package serverstats

import (
	"maps"
	"time"
)

// Cluster has the numbers of a server that shares its store with others.
type Cluster struct {
	Servers      int               // that seem to be alive
	Registered   bool              // this one seems to be alive to the others
	Forwarded    int               // streams that other servers serve
	Silence      time.Duration     // since the store has last answered this server
	OwnerChanges map[string]uint64 // nodes that this server has got or lost, by reason

	Common
}

// Common has the numbers of a store that servers share. Its zero value has counted nothing.
type Common struct {
	Registrations uint64
	Operations    map[Operation]*Histogram // seconds
	Proofs        Histogram                // seconds in which a server has proven that it owns a node
	Compactions   map[string]uint64        // by this server, by result
}

// Operation is a kind of transaction and its result, "ok" or "error".
type Operation struct{ Op, Result string }

// Observe counts an operation.
func (c *Common) Observe(o Operation, seconds float64) {
	if c.Operations == nil {
		c.Operations = make(map[Operation]*Histogram)
	}
	if c.Operations[o] == nil {
		c.Operations[o] = new(Histogram)
	}
	c.Operations[o].Observe(seconds)
}

// Clone returns a copy.
func (c *Common) Clone() Common {
	copied := *c
	copied.Operations = make(map[Operation]*Histogram, len(c.Operations))
	for o, h := range c.Operations {
		of := *h
		copied.Operations[o] = &of
	}
	copied.Compactions = maps.Clone(c.Compactions)

	return copied
}
