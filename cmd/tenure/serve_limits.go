package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"tenure/internal/cli"
	"tenure/server"
)

// groupLimits is the title of the flags for limits in the help.
const groupLimits = "Limits"

// defaultLimits returns the limits that flags change. The memory is chosen later.
func defaultLimits() server.Limits {
	l := server.DefaultLimits()
	l.Memory = 0

	return l
}

// addLimits adds the flags for the limits of a server.
func addLimits(cmd *cobra.Command, l *server.Limits) {
	cli.AddFlags(cmd,
		count("max-connections", "10000", "open connections (default 10000, or fewer if fewer files may be open)",
			&l.Connections),
		count("max-connections-per-address", "5000", "those of one address of another machine (default half)",
			&l.ConnectionsPerAddress),
		count("max-streams", "20000", "calls in progress, which are mostly sessions", &l.Streams),
		count("max-streams-per-connection", "10000", "those of one connection", &l.StreamsPerConnection),
		count("max-call-rate", "2000", "new calls a second of one connection", &l.CallRate),
		count("max-request-rate", "200000", "requests a second of all clients together", &l.RequestRate),
		count("max-attach-rate", "2000", "new sessions a second of all clients together", &l.AttachRate),
		count("max-sessions-total", "1000000", "sessions in all nodes together", &l.TotalSessions),
		count("max-frame-rate", "10000", "HTTP/2 frames a second of one connection that carry no request", &l.FrameRate),
		count("max-ping-rate", "5000", "pings a second for sessions with timeouts below 3s", &l.PingRate),
		count("max-unfinished", "67108864", "bytes of messages of which only a part has arrived", &l.UnfinishedBytes),
		count("max-header", "8192", "bytes in the headers of a call", &l.HeaderBytes),
		count("max-nodes", "10000", "nodes and directories", &l.Nodes),
		count("max-sessions", "1000000", "sessions in one node", &l.Sessions),
		count("max-semaphores", "1000000", "semaphores in one node", &l.Semaphores),
		count("max-waiters", "10000", "sessions that wait for one semaphore", &l.Waiters),
		count("max-data", "67108864", "bytes of names and data in one node", &l.NodeBytes),
		count("max-memory", "536870912", "bytes of memory for all nodes; the server needs twice as much (default 536870912, "+
			"or two fifths of the memory of a small container)", &l.Memory),
		cli.Flag{
			Name: "start-timeout", Group: groupLimits, Arg: "D", Example: "10s", Value: &l.StartTimeout,
			Usage: "time for a handshake, the start of a session, or one message", Check: positive(&l.StartTimeout),
		},
		cli.Flag{
			Name: "idle-timeout", Group: groupLimits, Arg: "D", Example: "10m", Value: &l.IdleTimeout,
			Usage: "time after which a connection without calls is closed", Check: positive(&l.IdleTimeout),
		},
	)
}

// count returns the flag for a limit that is a number. If its default is 0, the server chooses the number.
func count(name, example, usage string, value *int) cli.Flag {
	f := cli.Flag{
		Name: name, Group: groupLimits, Arg: "N", Example: example, Usage: usage, Value: value, Check: positive(value),
	}
	if *value == 0 {
		f.Default = func() (string, string, error) { return "", "chosen by the server", nil }
	}

	return f
}

// positive returns a check of a limit that is given.
func positive[T int | time.Duration](value *T) func() error {
	return func() error {
		if *value <= 0 {
			return errors.New("is out of range: must be more than 0")
		}

		return nil
	}
}
