package catalog

import (
	"cmp"
	"path"

	"tenure/internal/node"
	"tenure/internal/store"
)

// Kind is what an entry is.
type Kind uint8

// The kinds; their values are in the store.
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

// Entry is a directory or a coordination node as it was when it was asked for.
type Entry struct {
	Path   string // absolute and clean
	Kind   Kind
	Space  store.Space // of a node: where its records are, never used for another; 0 for a directory
	Config Config      // of a node
}

// Name returns the last part of the path.
func (e Entry) Name() string { return path.Base(e.Path) }

// Consistency is whether a request may be answered from state that is not the newest. The values are the wire's.
type Consistency int32

// The modes; zero is the default (N5).
const (
	Strict  Consistency = 1
	Relaxed Consistency = 2
)

// Counters is how finely a node's rate limiter counts. The values are the wire's.
type Counters int32

// The modes; zero is the default (N5).
const (
	Aggregated Counters = 1
	Detailed   Counters = 2
)

// Config is a node's settings as they were given; zero means the default (N5).
type Config struct {
	SelfCheckPeriodMillis    uint32
	SessionGracePeriodMillis uint32
	ReadConsistency          Consistency
	AttachConsistency        Consistency
	RateLimiterCounters      Counters
}

// Node returns the settings that the node itself goes by.
func (c Config) Node() node.Config {
	return node.Config{
		SelfCheckPeriodMillis:    c.SelfCheckPeriodMillis,
		SessionGracePeriodMillis: c.SessionGracePeriodMillis,
	}
}

// with returns c changed by what is set in changes (N2).
func (c Config) with(changes Config) Config {
	return Config{
		SelfCheckPeriodMillis:    cmp.Or(changes.SelfCheckPeriodMillis, c.SelfCheckPeriodMillis),
		SessionGracePeriodMillis: cmp.Or(changes.SessionGracePeriodMillis, c.SessionGracePeriodMillis),
		ReadConsistency:          cmp.Or(changes.ReadConsistency, c.ReadConsistency),
		AttachConsistency:        cmp.Or(changes.AttachConsistency, c.AttachConsistency),
		RateLimiterCounters:      cmp.Or(changes.RateLimiterCounters, c.RateLimiterCounters),
	}
}

// check refuses modes that do not exist. Periods are not checked: they are kept as given and used within a range (N5).
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
