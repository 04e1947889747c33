package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"tenure/internal/clock"
)

// DefaultLimits returns the limits of a server without the option [WithLimits]. Connections and ConnectionsPerAddress
// are zero, because [New] derives them from the number of files that the process may open.
func DefaultLimits() Limits {
	return Limits{
		Streams:              20_000,
		StreamsPerConnection: 10_000,
		CallRate:             2_000,
		FrameRate:            10_000,
		RequestRate:          200_000,
		AttachRate:           2_000,
		TotalSessions:        1_000_000,
		PingRate:             5_000,
		UnfinishedBytes:      64 << 20,
		HeaderBytes:          8 << 10,
		Nodes:                10_000,
		Sessions:             1_000_000,
		Semaphores:           1_000_000,
		Waiters:              10_000,
		NodeBytes:            64 << 20,
		Memory:               512 << 20,
		StartTimeout:         10 * time.Second,
		IdleTimeout:          10 * time.Minute,
	}
}

// defaultConnections is the default of Limits.Connections if enough files may be open.
const defaultConnections = 10_000

// reserve is the number of files that the server keeps for everything that is not a connection of a client: the store,
// which stops the server if it cannot create a file, the listeners, and the page. Half of the files are enough if there
// are only few.
const reserve = 256

// withDefaults returns the limits with the defaults for those that are zero. files is the number of files that may be
// open, 0 if that is unknown.
func withDefaults(l Limits, files int) (Limits, error) {
	d := DefaultLimits()
	d.Connections = defaultConnections
	room := files - min(reserve, files/2)
	if files > 0 {
		d.Connections = min(d.Connections, room)
		if l.Connections > room {
			return l, fmt.Errorf("server: a limit of %d connections is too high: only %d files may be open, so %d "+
				"connections: raise the limit of open files (ulimit -n), or lower the limit of connections",
				l.Connections, files, room)
		}
	}
	var errs []error
	set(&errs, "Connections", &l.Connections, d.Connections)
	set(&errs, "ConnectionsPerAddress", &l.ConnectionsPerAddress, max(l.Connections/2, 1))
	set(&errs, "Streams", &l.Streams, d.Streams)
	set(&errs, "StreamsPerConnection", &l.StreamsPerConnection, d.StreamsPerConnection)
	set(&errs, "CallRate", &l.CallRate, d.CallRate)
	set(&errs, "FrameRate", &l.FrameRate, d.FrameRate)
	set(&errs, "RequestRate", &l.RequestRate, d.RequestRate)
	set(&errs, "AttachRate", &l.AttachRate, d.AttachRate)
	set(&errs, "TotalSessions", &l.TotalSessions, d.TotalSessions)
	set(&errs, "PingRate", &l.PingRate, d.PingRate)
	set(&errs, "UnfinishedBytes", &l.UnfinishedBytes, d.UnfinishedBytes)
	set(&errs, "HeaderBytes", &l.HeaderBytes, d.HeaderBytes)
	set(&errs, "Nodes", &l.Nodes, d.Nodes)
	set(&errs, "Sessions", &l.Sessions, d.Sessions)
	set(&errs, "Semaphores", &l.Semaphores, d.Semaphores)
	set(&errs, "Waiters", &l.Waiters, d.Waiters)
	set(&errs, "NodeBytes", &l.NodeBytes, d.NodeBytes)
	set(&errs, "Memory", &l.Memory, d.Memory)
	set(&errs, "StartTimeout", &l.StartTimeout, d.StartTimeout)
	set(&errs, "IdleTimeout", &l.IdleTimeout, d.IdleTimeout)

	l.StreamsPerConnection = min(l.StreamsPerConnection, math.MaxInt32)
	l.HeaderBytes = min(l.HeaderBytes, math.MaxInt32)

	return l, errors.Join(errs...)
}

// set gives a limit its default if it is zero.
func set[T int | time.Duration](errs *[]error, name string, limit *T, value T) {
	switch {
	case *limit < 0:
		*errs = append(*errs, fmt.Errorf("server: WithLimits: %s is negative: set it to a positive value, or to 0 for "+
			"the default", name))
	case *limit == 0:
		*limit = value
	}
}

// refusals counts what the server refuses because of its limits, and logs it, but not every time: an attack must not
// fill the log. Its methods are safe for concurrent use.
type refusals struct {
	counts  *labelled
	log     *slog.Logger
	repeats *repeats[string]
}

func newRefusals(counts *labelled, log *slog.Logger, clk clock.Clock) *refusals {
	same := func(limit string) string { return limit } // there are few limits

	return &refusals{counts: counts, log: log, repeats: newRepeats(clk, same)}
}

// add counts a refusal because of a limit. The attributes say whose request was refused, such as "address".
func (r *refusals) add(limit string, attrs ...any) {
	r.counts.add(limit)
	if number, due := r.repeats.due(limit); due {
		r.log.WarnContext(context.Background(), "limit reached",
			append([]any{"limit", limit, "refused", number}, attrs...)...)
	}
}
