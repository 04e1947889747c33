package main

import (
	"context"
	"log/slog"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"tenure/internal/cli"
	"tenure/server"
)

// memoryShare is the share of the memory of a container that nodes may take by default. The server needs twice as much
// as its nodes, and the garbage collector gets the rest.
const memoryShare, memoryWhole = 2, 5

// minNodeMemory is the default in a container that is too small for a server.
const minNodeMemory = 16 << 20

// memory is how much memory a server may use, in bytes.
type memory struct {
	container int64 // the limit of the control group; 0: none
	nodes     int   // see server.Limits
	heap      int64 // the limit for the garbage collector; 0: set by GOMEMLIMIT
}

// chooseMemory returns the memory for a server. Given is the value of --max-memory, or 0.
func chooseMemory(given int, container int64) memory {
	m := memory{container: container, nodes: given}
	if given == 0 {
		m.nodes = server.DefaultLimits().Memory
		if container > 0 {
			m.nodes = int(max(min(int64(m.nodes), container*memoryShare/memoryWhole), minNodeMemory))
		}
	}
	m.heap = 2 * int64(m.nodes)

	return m
}

// containerMemory returns the limit of the control group of the process, or 0 if there is none.
func containerMemory() int64 {
	limit, err := memlimit.FromCgroup()
	if err != nil || limit > 1<<62 {
		return 0 // there is no limit, or nothing shows it
	}

	return int64(limit)
}

// apply makes the garbage collector work harder when the process takes twice the memory that is allowed for nodes,
// unless GOMEMLIMIT sets another limit. Requests and answers in flight take the rest.
func (m memory) apply(ctx context.Context, env *cli.Env, log *slog.Logger) {
	if _, ok := env.LookupEnv("GOMEMLIMIT"); ok {
		m.heap = 0
	} else {
		debug.SetMemoryLimit(m.heap)
	}
	if m.container == 0 {
		return
	}
	log.InfoContext(ctx, "the memory of the container is limited", "nodes", m.nodes, "heap", m.heap,
		"container", m.container)
	if 2*int64(m.nodes) > m.container {
		log.WarnContext(ctx, "the memory limit is too high for the container, so the kernel may end the server",
			"nodes", m.nodes, "container", m.container)
	}
}
