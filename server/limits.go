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

// Limits bound what the clients of a server can use, so that none of them can take the server away from the others. A
// field that is zero means its default. A negative one is an error.
type Limits struct {
	// Connections is the number of connections that may be open at the same time. When it is reached, a new connection
	// takes the place of one without a session. If there is none, the new one is closed. The default is 10,000, or as
	// many as the limit of open files allows, if that is fewer.
	Connections int

	// ConnectionsPerAddress is the number of these connections that may come from one address, or from one IPv6 network
	// of 64 bits. Connections from the same machine are not counted. The default is half of Connections.
	ConnectionsPerAddress int

	// Streams is the number of calls that the server serves at the same time. Nearly all of them are sessions. The
	// default is 20,000.
	Streams int

	// StreamsPerConnection is the number of calls that one connection may have open at the same time. The default is
	// 10,000.
	StreamsPerConnection int

	// CallRate is the number of calls that one connection may begin in a second, and the number that it may reset soon
	// after it has begun them. It may begin those of two seconds at the same time. The default is 2,000.
	CallRate int

	// RequestRate is the number of requests in a second that the server accepts from all clients together. Releases and
	// the ends of sessions are not refused. The default is 200,000.
	RequestRate int

	// AttachRate is the number of new sessions in a second that the server accepts from all clients together. Those of ten
	// seconds may begin at the same time. The default is 2,000.
	AttachRate int

	// TotalSessions is the number of sessions in all nodes together. The default is 1,000,000.
	TotalSessions int

	// FrameRate is the number of HTTP/2 frames in a second with which one connection may send no request, such as PING,
	// WINDOW_UPDATE and empty DATA. The default is 10,000.
	FrameRate int

	// PingRate is the number of pings that the server may have to send in a second for sessions with timeouts below 3
	// seconds. The default is 5,000.
	PingRate int

	// UnfinishedBytes bounds messages of which only a part has arrived, in bytes, for all connections together. One
	// connection may use a quarter of it. The default is 64 MiB.
	UnfinishedBytes int

	// HeaderBytes is the size of the headers of a call. The default is 8 KiB.
	HeaderBytes int

	// Nodes is the number of coordination nodes and directories. The default is 10,000.
	Nodes int

	// Sessions and Semaphores are the numbers of sessions and semaphores in one node. The default is 1,000,000 each, which
	// is also the highest value.
	Sessions, Semaphores int

	// Waiters is the number of sessions that may wait for one semaphore. The default is 10,000.
	Waiters int

	// NodeBytes bounds the names and the data of all semaphores, owners and waiters in one node, in bytes. The default is
	// 64 MiB.
	NodeBytes int

	// Memory bounds what all nodes take in memory, in bytes, as estimated by the server. A request that needs more is
	// refused, and so is an attach to a node that is not loaded and is too large. The process needs about twice as much.
	// The default is 512 MiB.
	Memory int

	// StartTimeout is the time in which a connection must finish its handshake, a stream must ask for a session, and a
	// message must arrive completely. The default is 10 seconds.
	StartTimeout time.Duration

	// IdleTimeout is the time after which a connection without calls is closed. The client is told first, so that no
	// call is lost. The default is 10 minutes.
	IdleTimeout time.Duration
}

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
