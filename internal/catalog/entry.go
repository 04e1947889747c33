package catalog

import (
	"cmp"
	"path"

	"tenure/internal/node"
	"tenure/internal/store"
)

// Kind is the kind of an entry.
type Kind uint8

// The kinds of entries. The store contains these values.
const (
	Directory Kind = 1
	Node      Kind = 2
)

func (k Kind) String() string {
	if k == Node {
		return "coordination node"
	}

	return "directory"
}

// Entry describes a directory or a coordination node at the time of the call that returned it.
type Entry struct {
	Path   string // absolute and cleaned
	Kind   Kind
	Space  store.Space // the space of a node's records, never reused for another node; 0 for a directory
	Config Config      // zero for a directory
}

// Name returns the last component of the path.
func (e Entry) Name() string { return path.Base(e.Path) }

// Consistency says whether a request may be answered from state that is not the latest. The values are those used on
// the wire.
type Consistency int32

// The consistency modes. Zero means the default (N5).
const (
	Strict  Consistency = 1
	Relaxed Consistency = 2
)

// Counters says how detailed the counters of a node's rate limiter are. The values are those used on the wire.
type Counters int32

// The counter modes. Zero means the default (N5).
const (
	Aggregated Counters = 1
	Detailed   Counters = 2
)

// Config holds the settings of a node as they were given. A zero field means the default (N5).
type Config struct {
	SelfCheckPeriodMillis    uint32
	SessionGracePeriodMillis uint32
	ReadConsistency          Consistency
	AttachConsistency        Consistency
	RateLimiterCounters      Counters
}

// Node returns the settings that the node itself uses.
func (c Config) Node() node.Config {
	return node.Config{
		SelfCheckPeriodMillis:    c.SelfCheckPeriodMillis,
		SessionGracePeriodMillis: c.SessionGracePeriodMillis,
	}
}

// with returns a copy of c in which the non-zero fields of changes replace those of c (N2).
func (c Config) with(changes Config) Config {
	return Config{
		SelfCheckPeriodMillis:    cmp.Or(changes.SelfCheckPeriodMillis, c.SelfCheckPeriodMillis),
		SessionGracePeriodMillis: cmp.Or(changes.SessionGracePeriodMillis, c.SessionGracePeriodMillis),
		ReadConsistency:          cmp.Or(changes.ReadConsistency, c.ReadConsistency),
		AttachConsistency:        cmp.Or(changes.AttachConsistency, c.AttachConsistency),
		RateLimiterCounters:      cmp.Or(changes.RateLimiterCounters, c.RateLimiterCounters),
	}
}

// check refuses unknown modes. It does not check the periods, which are stored as given and limited to their ranges on
// use (N5).
func (c Config) check() error {
	switch {
	case c.ReadConsistency < 0 || c.ReadConsistency > Relaxed:
		return refuse(node.BadRequest, "read_consistency_mode %d is unknown", c.ReadConsistency)
	case c.AttachConsistency < 0 || c.AttachConsistency > Relaxed:
		return refuse(node.BadRequest, "attach_consistency_mode %d is unknown", c.AttachConsistency)
	case c.RateLimiterCounters < 0 || c.RateLimiterCounters > Detailed:
		return refuse(node.BadRequest, "rate_limiter_counters_mode %d is unknown", c.RateLimiterCounters)
	}

	return nil
}
