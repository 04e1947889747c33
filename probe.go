package tenure

import (
	"context"
	"time"

	"tenure/internal/clientconfig"
	"tenure/internal/clock"
)

// probe is a session as the project's own packages see it.
type probe struct{ *Session }

var _ clientconfig.Session = probe{}

// Apart implements clientconfig.Session.
func (p probe) Apart() bool {
	p.mu.Lock()
	defer p.mu.Unlock()

	return p.core.Apart()
}

// Node implements clientconfig.Session.
func (p probe) Node() string { return p.path }

// Key implements clientconfig.Session.
func (p probe) Key() []byte { return p.key }

// Timeout implements clientconfig.Session.
func (p probe) Timeout() time.Duration { return p.timeout }

// Deadline implements clientconfig.Session.
func (p probe) Deadline() clock.Instant { return clock.Instant(p.deadline.Load()) }

// Clock implements clientconfig.Session.
func (p probe) Clock() clock.Clock { return p.client.clock }

// Refusal implements clientconfig.Session.
func (p probe) Refusal() error {
	p.mu.Lock()
	refused := p.core.Refusal()
	p.mu.Unlock()
	if refused == nil {
		return nil
	}

	return newRefusedError(p.path, refused)
}

// RefusalChanged implements clientconfig.Session.
func (p probe) RefusalChanged() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.turned == nil {
		p.turned = make(chan struct{})
	}

	return p.turned
}

// GivenUp implements clientconfig.Session.
func (p probe) GivenUp(id uint64) (left time.Duration, ok bool) { return p.givenUp(id) }

// End implements clientconfig.Session.
func (p probe) End(ctx context.Context, id uint64, key []byte) error { return p.end(ctx, id, key) }
