//go:build !race

package server_test

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An idle session takes little memory. The bounds include what the client takes, which is in the same process.
func TestIdleSession_Footprint(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	const sessions = 500
	h := serve(t)
	attach := func() {
		for range sessions {
			h.attach(t, 0, time.Hour/2)
		}
	}
	attach() // so that what the process keeps for all sessions exists
	before := footprint()
	attach()
	after := footprint()
	each := func(what func(memory) uint64) int { return int(what(after)-what(before)) / sessions }

	require.Less(t, each(func(m memory) uint64 { return m.heap }), 8_600, "objects")
	require.Less(t, each(func(m memory) uint64 { return m.stacks }), 13_500, "stacks")
	require.Less(t, each(func(m memory) uint64 { return m.frames }), 5_000, "used of the stacks")
}

// memory is what a process uses, in bytes.
type memory struct{ heap, stacks, frames uint64 }

func footprint() memory {
	runtime.GC()
	runtime.GC() // what the first one has found to be free is swept now
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/stacks:bytes"},
		{Name: "/gc/scan/stack:bytes"},
	}
	metrics.Read(samples)

	return memory{samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64()}
}
