package server

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
	"tenure/internal/clock"
	"tenure/internal/node"
)

// With the defaults, a node can have as many semaphores as its limit allows, all of them held, with all the names and
// data that its limit allows. The node can also be loaded again.
func TestLimits_DefaultMemory(t *testing.T) {
	t.Parallel()
	const held, sessions = 1_000, 16 // a thousandth of each
	n := node.New()
	var fx node.Effects
	for i := range node.StreamID(sessions) {
		n.Apply(1, node.Attach{Stream: i + 1, TimeoutMillis: 60_000}, &fx)
	}
	names := 0
	for i := range uint64(held) {
		id, name := i%sessions+1, fmt.Sprint("held-", i)
		n.Apply(1, node.Acquire{
			From: node.From{Stream: node.StreamID(id), Session: id}, Semaphore: name, Count: 1,
			TimeoutMillis: node.Forever, Ephemeral: true,
		}, &fx)
		names += len(name)
	}
	records := 0
	for _, r := range fx.Changes {
		records += node.RecordFootprint(r)
	}
	d := DefaultLimits()
	require.LessOrEqual(t, (n.Footprint()-names)*d.Semaphores/held+d.NodeBytes, d.Memory)
	require.LessOrEqual(t, int64((records-names)*d.Semaphores/held+d.NodeBytes), loadLimit(int64(d.Memory)))
}

// The defaults leave files for everything that is not a connection.
func TestLimits_Defaults(t *testing.T) {
	t.Parallel()
	for files, connections := range map[int]int{0: 10_000, 64: 32, 256: 128, 1_024: 768, 65_536: 10_000} {
		l, err := withDefaults(Limits{}, files)
		require.NoError(t, err)
		require.Equal(t, connections, l.Connections)
		require.Equal(t, connections/2, l.ConnectionsPerAddress)
		require.Equal(t, 20_000, l.Streams)
	}
	l, err := withDefaults(Limits{Connections: 1, StartTimeout: time.Second}, 64)
	require.NoError(t, err)
	require.Equal(t, 1, l.ConnectionsPerAddress)
	require.Equal(t, time.Second, l.StartTimeout)

	_, err = withDefaults(Limits{Connections: 100}, 64)
	require.EqualError(t, err, "server: a limit of 100 connections is too high: only 64 files may be open, so 32 "+
		"connections: raise the limit of open files (ulimit -n), or lower the limit of connections")
	_, err = withDefaults(Limits{CallRate: -1}, 0)
	require.EqualError(t, err, "server: WithLimits: CallRate is negative: set it to a positive value, or to 0 for the "+
		"default")
}

// An attack does not fill the log: there is one line a minute for each limit. All refusals are counted.
func TestRefusals(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var counted labelled
		r := newRefusals(&counted, slog.New(slog.NewTextHandler(&log, nil)), clock.Go())
		for range 3 {
			r.add("connections", "address", "10.0.0.7")
		}
		r.add("streams")
		time.Sleep(reportInterval)
		r.add("connections", "address", "10.0.0.8")

		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		require.Len(t, lines, 3)
		require.Contains(t, lines[0], `msg="limit reached" limit=connections refused=1 address=10.0.0.7`)
		require.Contains(t, lines[1], `msg="limit reached" limit=streams refused=1`)
		require.Contains(t, lines[2], `msg="limit reached" limit=connections refused=3 address=10.0.0.8`)
		require.Equal(t, map[string]uint64{"connections": 4, "streams": 1}, counted.all())
	})
}
