package session_test

import (
	"errors"
	"fmt"
	"slices"
	"time"

	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"

	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/session"
)

func (c *client) pause() time.Duration { return c.w.between(0, c.cfg.Timeout/3) }

// think makes one random call and plans the next one. Once there are no more faults, it only releases leases.
func (c *client) think() {
	if c.killed || c.closed || c.over {
		return
	}
	c.w.after(c.pause(), c.think)
	if c.asleep {
		return
	}
	switch x := c.w.rand.IntN(100); {
	case c.w.calm:
		c.releaseOne()
	case x < 45:
		c.acquire(pick(c.w, names...))
	case x < 70:
		c.releaseOne()
	case x < 85:
		c.cancelOne()
	case x < 92:
		c.describe(pick(c.w, names...))
	case x < 95:
		c.update(pick(c.w, names...))
	case x < 98:
		c.do("reconnects", c.core.Reconnect)
	default:
		c.do("closes", c.core.Close)
	}
}

func (c *client) acquire(name string) {
	m := &pb.SessionRequest_AcquireSemaphore{
		Name: name, Count: 1 + c.w.rand.Uint64N(min(limits[name], 3)), Ephemeral: name == ephemeral,
		TimeoutMillis: pick[uint64](c.w, 0, uint64(c.cfg.Timeout.Milliseconds()), node.Forever, node.Forever),
	}
	if name == ephemeral {
		m.Count = pick[uint64](c.w, 1, 2, node.Forever, node.Forever)
	}
	if name == ephemeral && c.w.chance(0.05) {
		m.Ephemeral = false // a mistake, which the node refuses whether or not the semaphore exists
	}
	a := &attempt{call: session.NewAcquire(m), message: m}
	a.call.Owner = a
	if !slices.ContainsFunc(c.byName[name], func(a *attempt) bool { return slices.Contains(c.calls, a.call) }) {
		c.byName[name] = nil
	}
	c.byName[name] = append(c.byName[name], a)
	for _, b := range c.claims {
		if b.lease.Name == name && !b.ended {
			b.count = min(b.count, m.GetCount()) // from now on the user relies on no more than this (Q6)
		}
	}
	c.calls = append(c.calls, a.call)
	c.do(fmt.Sprintf("acquires %d of %q within %d", m.GetCount(), name, int64(m.GetTimeoutMillis())),
		func(now clock.Instant, fx *session.Effects) {
			c.core.Begin(now, a.call, fx)
			c.attempts[m.GetReqId()] = a
		})
}

func (c *client) releaseOne() {
	var held []*claim
	for _, b := range c.claims {
		if !b.ended {
			held = append(held, b)
		}
	}
	if len(held) == 0 {
		return
	}
	b := pick(c.w, held...)
	c.begin(fmt.Sprintf("releases %q", b.lease.Name), session.NewRelease(b.lease))
}

func (c *client) begin(what string, call *session.Call) {
	c.calls = append(c.calls, call)
	c.do(what, func(now clock.Instant, fx *session.Effects) { c.core.Begin(now, call, fx) })
}

func (c *client) describe(name string) {
	c.begin(fmt.Sprintf("describes %q", name), session.NewDescribe(&pb.SessionRequest_DescribeSemaphore{
		Name: name, IncludeOwners: c.w.chance(0.5), WatchOwners: c.w.chance(0.5),
	}))
}

func (c *client) update(name string) {
	c.begin(fmt.Sprintf("updates %q", name), session.NewUpdate(&pb.SessionRequest_UpdateSemaphore{
		Name: name, Data: []byte{byte(c.w.rand.IntN(4))},
	}))
}

// cancelOne cancels a call, as the end of its context would.
func (c *client) cancelOne() {
	var live []*session.Call
	for _, call := range c.calls {
		if call.Kind != session.Release {
			live = append(live, call)
		}
	}
	if len(live) == 0 {
		return
	}
	call := pick(c.w, live...)
	what := fmt.Sprintf("cancels a call of kind %d", call.Kind)
	if a, ok := call.Owner.(*attempt); ok {
		what = fmt.Sprintf("cancels the acquire %d of %q", a.message.GetReqId(), a.message.GetName())
	}
	c.do(what, func(now clock.Instant, fx *session.Effects) { c.core.Cancel(now, call, fx) })
	c.forget(call) // it may just have finished
}

func (c *client) forget(call *session.Call) {
	c.calls = slices.DeleteFunc(c.calls, func(x *session.Call) bool { return x == call })
}

func (c *client) finished(f session.Finished) {
	if !slices.Contains(c.calls, f.Call) {
		c.w.fail("%v: a call has finished twice, or after it was cancelled", c)
	}
	c.forget(f.Call)
	a, ok := f.Call.Owner.(*attempt)
	if !ok {
		return
	}
	delete(c.attempts, a.message.GetReqId())
	c.w.log("%v: the acquire %d of %q ends: %v", c, a.message.GetReqId(), a.message.GetName(), f.Err)
	switch {
	case f.Err != nil && f.Lease != nil:
		c.w.fail("%v: an acquire has returned both an error and a lease", c)
	case f.Err == nil:
		c.hold(a, f.Lease)
	case c.w.calm && !c.over && errors.Is(f.Err, session.ErrOver):
		c.w.fail("%v: a call has ended with %v although there are no more faults", c, f.Err)
	}
}

// hold records a lease. Its count is that of the acquire, or less if the user has since asked to reduce it.
func (c *client) hold(a *attempt, l *session.Lease) {
	count := a.message.GetCount()
	later := false
	for _, x := range c.byName[l.Name] {
		if later = later || x == a; later {
			count = min(count, x.message.GetCount())
		}
	}
	for _, b := range c.claims {
		if b.lease == l {
			if b.ended {
				c.w.fail("%v: an acquire has returned a lease of %q that has ended", c, l.Name)
			}
			b.count = min(b.count, count)
			if l.OrderID == 0 { // otherwise the generation stays until a renewal finds another order id
				b.generation = a.generation
			}

			return
		}
	}
	c.claims = slices.DeleteFunc(c.claims, func(b *claim) bool { return b.ended })
	c.claims = append(c.claims, &claim{lease: l, count: count, generation: a.generation})
}
