package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure"
	"tenure/bench/benchtest"
	"tenure/workers"
)

// BenchmarkPool measures how long a pool of workers takes until all of its tasks run, when all workers start at the
// same time, and until all run again after a tenth more workers have joined, in addition to the time in which nothing
// moves. It reports how often tasks were started and given straight back, and the CPU time of the server and of the
// workers, which share a process.
func BenchmarkPool(b *testing.B) {
	for _, test := range []struct {
		tasks, workers int
		greedy         bool
	}{{1_000, 10, false}, {10_000, 100, false}, {2_000, 20, false}, {10_000, 20, false}, {10_000, 20, true}} {
		mode := "balanced"
		if test.greedy {
			mode = "greedy"
		}
		b.Run(fmt.Sprintf("%s/tasks=%d/workers=%d", mode, test.tasks, test.workers), func(b *testing.B) {
			p := &crew{tasks: size(test.tasks), workers: max(2, size(test.workers)), greedy: test.greedy}
			for range b.N {
				p.measure(b)
			}
			p.report(b)
		})
	}
}

// poolSettle is how long nothing moves after a worker has joined. Starting the pool takes less.
func poolSettle() time.Duration {
	if testing.Short() {
		return 500 * time.Millisecond
	}

	return 10 * time.Second
}

// A crew is a pool of workers in this process.
type crew struct {
	tasks, workers int
	greedy         bool

	started, given, moved atomic.Int64

	took, joined             time.Duration
	server, clients          time.Duration
	starts, returns, balance int64
}

func (p *crew) measure(b *testing.B) {
	b.Helper()
	h := startHost(b, disk, b.TempDir())
	defer h.stop(b)
	dial(b, h.addr)
	ctx, stop := context.WithCancelCause(b.Context())
	ended := make(chan error, 2*p.workers)
	before, cpu := h.usage(b), benchtest.ProcessorTime()
	p.started.Store(0)
	p.given.Store(0)
	p.moved.Store(0)

	clients := make([]*tenure.Client, p.workers+max(1, p.workers/10))
	for i := range clients {
		clients[i] = openClient(b, h.addr)
	}
	begin := time.Now()
	for _, client := range clients[:p.workers] {
		go p.work(ctx, client, ended)
	}
	p.await(b, p.tasks)
	p.took += time.Since(begin)
	p.starts += p.started.Load()
	p.returns += p.given.Load()

	more := 0
	if !p.greedy {
		more = max(1, p.workers/10)
		begin = time.Now()
		for _, client := range clients[p.workers : p.workers+more] {
			go p.work(ctx, client, ended)
		}
		for p.moved.Load() < int64(p.share(more)) {
			time.Sleep(time.Millisecond)
		}
		p.await(b, p.tasks)
		p.joined += time.Since(begin) - poolSettle()
		p.balance += p.moved.Load()
	}
	p.server += h.usage(b).CPU - before.CPU
	p.clients += benchtest.ProcessorTime() - cpu
	stop(errDone)
	for range p.workers + more {
		require.ErrorIs(b, <-ended, errDone)
	}
}

var errDone = errors.New("the benchmark is done")

// share returns how many tasks the workers that join must get at least.
func (p *crew) share(more int) int { return p.tasks / (p.workers + more) * more }

// work is one worker. Its tasks run until they are told to stop.
func (p *crew) work(ctx context.Context, client *tenure.Client, ended chan<- error) {
	opts := []workers.Option{
		workers.WithCapacity(2 * p.tasks / p.workers), workers.WithSettle(poolSettle()), workers.WithMoves(16),
		workers.WithObserver(func(e workers.Event) {
			switch e.(type) {
			case workers.GivenBack:
				p.given.Add(1)
			case workers.Moving:
				p.moved.Add(1)
			}
		}),
	}
	if p.greedy {
		opts = append(opts, workers.WithGreedy())
	}
	ended <- workers.Run(ctx, client, database+"/pool", workers.Numbered("job-", p.tasks),
		func(ctx context.Context, _ *workers.Task) error {
			p.started.Add(1)
			running.Add(1)
			defer running.Add(-1)
			<-ctx.Done()

			return nil
		}, opts...)
}

// running is the number of tasks that run.
var running atomic.Int64

func (p *crew) await(b *testing.B, tasks int) {
	b.Helper()
	for running.Load() < int64(tasks) {
		require.NoError(b, b.Context().Err())
		time.Sleep(time.Millisecond)
	}
}

func (p *crew) report(b *testing.B) {
	b.Helper()
	n := float64(b.N)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(p.took.Seconds()/n, "s-until-all-run")
	b.ReportMetric(float64(p.starts)/n, "starts")
	b.ReportMetric(float64(p.returns)/n, "given-back")
	if !p.greedy {
		b.ReportMetric(p.joined.Seconds()/n, "s-until-balanced")
		b.ReportMetric(float64(p.balance)/n, "moves")
	}
	b.ReportMetric(p.server.Seconds()/n, "server-cpu-s")
	b.ReportMetric(p.clients.Seconds()/n, "workers-cpu-s")
}
