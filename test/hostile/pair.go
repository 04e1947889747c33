package hostile

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
)

// held is how long a client of a pair holds the lock. So a pair hands it over about 200 times in a second.
const held = 4 * time.Millisecond

// A Period says how a pair got on for some time.
type Period struct {
	Node      string
	HandOvers int
	P50, P99  time.Duration // from the release by one client to the grant to the other
	Longest   time.Duration
	Lost      []string // leases and sessions that ended early, with the cause
}

// A Pair is two honest clients that hand a lock over to each other.
type Pair struct {
	node string
	stop context.CancelFunc
	all  sync.WaitGroup

	mu       sync.Mutex // guards the rest
	released time.Time  // zero: the time of the next grant does not count
	times    []time.Duration
	lost     []string
}

// StartPair starts a pair on a node, which is created. The caller must call Stop.
func StartPair(ctx context.Context, addr, node string) (*Pair, error) {
	ctx, cancel := context.WithCancel(ctx)
	p := &Pair{node: node, stop: cancel}
	for range 2 {
		client, err := tenure.Open(ctx, "grpc://"+addr+"/local")
		if err != nil {
			p.Stop()

			return nil, err
		}
		if err := client.CreateNode(ctx, node, coordination.NodeConfig{}); err != nil {
			p.Stop()

			return nil, err
		}
		p.all.Go(func() {
			defer client.Close(context.WithoutCancel(ctx))
			for ctx.Err() == nil {
				if err := p.session(ctx, client); err != nil && ctx.Err() == nil {
					p.lose(err)
				}
			}
		})
	}

	return p, nil
}

// Stop ends the pair.
func (p *Pair) Stop() {
	p.stop()
	p.all.Wait()
}

// session hands the lock over until something fails.
func (p *Pair) session(ctx context.Context, client *tenure.Client) error {
	s, err := client.Session(ctx, p.node)
	if err != nil {
		return fmt.Errorf("session: %w", err)
	}
	defer s.Close(context.WithoutCancel(ctx))
	for {
		lease, err := s.AcquireSemaphore(ctx, "honest", coordination.Exclusive, options.WithEphemeral(true))
		if err != nil {
			return fmt.Errorf("acquire: %w", err)
		}
		p.granted()
		wait(lease.Context(), held)
		if lease.Context().Err() != nil {
			return fmt.Errorf("lease: %w", context.Cause(lease.Context()))
		}
		p.release()
		if err := lease.Release(); err != nil {
			return fmt.Errorf("release: %w", err)
		}
	}
}

func (p *Pair) granted() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.released.IsZero() {
		p.times = append(p.times, time.Since(p.released))
	}
	p.released = time.Time{}
}

func (p *Pair) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.released = time.Now()
}

func (p *Pair) lose(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost = append(p.lost, err.Error())
}

// Next returns the period since the last call. A hand-over that is not complete counts with the time it has taken.
func (p *Pair) Next() Period {
	p.mu.Lock()
	defer p.mu.Unlock()
	times := p.times
	if !p.released.IsZero() {
		times = append(times, time.Since(p.released))
	}
	slices.Sort(times)
	period := Period{Node: p.node, HandOvers: len(p.times), Lost: p.lost}
	if n := len(times); n > 0 {
		period.P50, period.P99, period.Longest = times[n/2], times[n*99/100], times[n-1]
	}
	p.times, p.lost = nil, nil

	return period
}
