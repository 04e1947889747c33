package session_test

import (
	"fmt"
	"slices"
	"time"

	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"

	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/session"
)

// client is a core with its clock, its side of the network and a user that makes random calls.
type client struct {
	w       *world
	number  int
	cfg     session.Config
	core    *session.Core
	id      uint64 // of the session; 0: not started
	epoch   uint64 // of the node that made it
	streams []*stream
	opened  uint64
	opens   []clock.Instant // when streams were opened, within the last second
	wake    clock.Instant
	over    bool
	closed  bool
	killed  bool
	ends    bool          // this is the ending of another client's session
	born    clock.Instant // when the ending was created

	// The client's clock starts at the world's instant bornAt and runs at rate millionths of the world's speed, which
	// is within the drift that the deadline allows for.
	bornAt clock.Instant
	rate   int64
	asleep bool
	inbox  []func() // events that arrive while it is asleep

	latency time.Duration
	dark    [2]clock.Instant // by direction: until when nothing gets through
	barred  clock.Instant    // until when the server refuses to attach a stream of the client
	denied  clock.Instant    // until when the client lacks the right to read
	until   clock.Instant    // the deadline before the current event; 0: the session does not exist yet

	attempts map[uint64]*attempt   // unfinished acquires by req_id
	byName   map[string][]*attempt // acquires by semaphore, oldest first, since none was last outstanding
	calls    []*session.Call       // calls that have neither finished nor been cancelled
	claims   []*claim
}

// attempt is one acquire of the user.
type attempt struct {
	call       *session.Call
	message    *pb.SessionRequest_AcquireSemaphore
	generation uint64 // of the semaphore when the node last granted it
}

// claim is a lease that the user has got and the part of the semaphore that the user treats as held.
type claim struct {
	lease      *session.Lease
	count      uint64
	generation uint64
	ended      bool
}

func (c *client) String() string { return fmt.Sprintf("client %d", c.number) }

func newClient(w *world) *client {
	w.born++
	c := &client{
		w: w, number: w.born, bornAt: w.now, rate: 990_100 + w.rand.Int64N(19_800),
		attempts: make(map[uint64]*attempt), byName: make(map[string][]*attempt),
	}
	timeout := pick(w, w.unit, w.unit, w.unit/2, w.unit*2).Truncate(time.Millisecond)
	c.latency = time.Duration(w.rand.Int64N(int64(pick(w, 1, timeout/30, timeout/9)))) // round trip: under a quarter
	c.cfg = session.Config{
		Path: "/node", Key: fmt.Appendf(nil, "%016d", w.born), Timeout: timeout, StartTimeout: timeout,
		StopTimeout: time.Second, Silence: 10 * time.Second, ReconnectDelay: 50 * time.Millisecond, Seed: w.rand.Uint64(),
	}
	c.core = session.New(c.cfg)
	w.log("%v: timeout %v, latency %v, rate %d", c, timeout, c.latency, c.rate)
	c.do("start", c.core.Start)
	c.w.after(c.pause(), c.think)

	return c
}

// local returns the client's time at an instant of the world.
func (c *client) local(at clock.Instant) clock.Instant {
	return clock.Instant(time.Minute) + clock.Instant(int64(at-c.bornAt)*c.rate/1_000_000)
}

// world returns the first instant of the world at which the client's clock has reached the given one.
func (c *client) world(at clock.Instant) clock.Instant {
	t := c.bornAt + clock.Instant(int64(at-clock.Instant(time.Minute))*1_000_000/c.rate)
	for c.local(t) < at {
		t++
	}

	return t
}

// margin returns how late a timer may fire so that leases still end in time.
func (c *client) margin() time.Duration {
	return c.cfg.Timeout - c.cfg.Timeout/100 - session.Believed(c.cfg.Timeout)
}

// event runs f for the client, immediately if it is awake and otherwise when it wakes up.
func (c *client) event(f func()) {
	switch {
	case c.killed || c.closed:
	case c.asleep:
		c.inbox = append(c.inbox, f)
	default:
		f()
	}
}

func (c *client) received(s *stream, m *pb.SessionResponse) {
	if m.GetPing() == nil {
		c.w.log("%v: stream %d: received %v", c, s.id, m)
	}
	c.do("", func(now clock.Instant, fx *session.Effects) { c.core.Received(now, s.id, m, fx) })
	spoil(m)
}

func (c *client) ended(s *stream, err error) {
	c.w.log("%v: stream %d has ended: %v", c, s.id, err)
	c.do("", func(now clock.Instant, fx *session.Effects) { c.core.Ended(now, s.id, err, fx) })
}

// do calls the core and performs the actions that it returns, as the goroutines around a core do.
func (c *client) do(what string, f func(clock.Instant, *session.Effects)) {
	if what != "" {
		c.w.log("%v: %s", c, what)
	}
	c.until = c.core.Deadline()
	refused := c.core.Refusal() != nil
	var fx session.Effects
	f(c.local(c.w.now), &fx)
	for _, a := range fx.Actions {
		c.perform(a)
	}
	if refused && !c.over && c.core.Refusal() == nil {
		c.w.hit.Pass++
	}
	if c.over && len(c.calls) > 0 {
		c.w.fail("%v: the session has ended but some calls have not finished", c)
	}
	c.plan(fx.Wake)
}

func (c *client) plan(wake clock.Instant) {
	if c.wake == wake {
		return
	}
	if c.wake = wake; wake == 0 {
		return
	}
	var late time.Duration
	if c.w.chance(0.3) {
		late = c.w.between(0, c.margin()*9/10)
	}
	c.w.at(c.world(wake).Add(late), func() {
		if c.wake == wake {
			c.event(c.ring)
		}
	})
}

func (c *client) ring() {
	if c.wake != 0 && c.wake <= c.local(c.w.now) {
		c.wake = 0
		c.do("", c.core.Tick)
	}
}

func (c *client) perform(a session.Action) {
	switch a := a.(type) {
	case session.Open:
		c.open(a.Stream)
	case *session.Send:
		if a.Message.GetPong() == nil {
			c.w.log("%v: stream %d: sends %v", c, a.Stream, a.Message)
		}
		c.of(a.Stream).send(a.Message)
	case session.Drop:
		c.w.log("%v: drops stream %d", c, a.Stream)
		s := c.of(a.Stream)
		c.streams = slices.DeleteFunc(c.streams, func(x *stream) bool { return x == s })
		s.drop()
	case session.Started:
		if a.Again != (c.id != 0) || a.Again && a.Session != c.id {
			c.w.fail("%v: attached to session %d (again: %v), but the session was %d", c, a.Session, a.Again, c.id)
		}
		if c.id == 0 {
			c.id, c.epoch = a.Session, c.stream().epoch
		}
	case *session.Finished:
		c.finished(*a)
	case *session.EndLease:
		c.w.log("%v: lease of %q ends: %v", c, a.Lease.Name, a.Cause)
		for _, b := range c.claims {
			if b.lease == a.Lease {
				b.ended = true
			}
		}
	case session.Over:
		if c.over {
			c.w.fail("%v: the session has ended twice", c)
		}
		c.w.log("%v: session over: %v", c, a.Cause)
		c.checkCause(a.Cause)
		c.over, c.claims = true, nil
	case session.Closed:
		c.gone()
		if c.ends {
			c.checkEnding(a)
		} else if a.Left && c.id != 0 {
			c.w.after(c.pause(), c.endLater) // by then no code of the user works under the session
		}
	}
}

func (c *client) of(id session.StreamID) *stream {
	for _, s := range c.streams {
		if s.id == id {
			return s
		}
	}
	c.w.fail("%v: there is no stream %d", c, id)

	return nil
}

// stream returns the current stream, or nil if there is none.
func (c *client) stream() *stream {
	if len(c.streams) == 0 {
		return nil
	}

	return c.streams[len(c.streams)-1]
}

// mostOpens is the largest number of streams that a client may open within a second.
const mostOpens = 20

func (c *client) open(id session.StreamID) {
	c.opened++
	now := c.local(c.w.now)
	c.opens = append(slices.DeleteFunc(c.opens, func(at clock.Instant) bool { return now.Sub(at) >= time.Second }), now)
	if len(c.opens) > mostOpens {
		c.w.fail("%v: %d streams opened within a second", c, len(c.opens))
	}
	c.streams = append(c.streams, &stream{w: c.w, c: c, id: id, swallow: make(map[uint64]bool)})
}

// gone replaces the client by a new one, unless the schedule is about to end.
func (c *client) gone() {
	c.closed = true
	c.w.after(c.w.between(0, c.w.unit), func() {
		i := slices.Index(c.w.clients, c)
		c.w.clients = slices.Delete(c.w.clients, i, i+1)
		if !c.w.calm && !c.ends {
			c.w.clients = append(c.w.clients, newClient(c.w))
		}
	})
}

// kill ends the client's process.
func (c *client) kill() {
	if c.killed || c.closed {
		return
	}
	c.w.log("%v: killed", c)
	c.killed, c.claims = true, nil
	for _, s := range c.streams {
		s.drop()
	}
	c.streams = nil
	c.calls = nil
	c.gone()
}

// suspend suspends the client's machine for a while. Its clock keeps running.
func (c *client) suspend(d time.Duration) {
	if c.asleep {
		return
	}
	c.w.log("%v: sleeps for %v", c, d)
	c.asleep = true
	c.w.after(d, c.resume)
}

// resume wakes the machine up. The timer fires somewhere among the events that have arrived in the meantime.
func (c *client) resume() {
	if !c.asleep {
		return
	}
	c.w.log("%v: wakes", c)
	inbox := c.inbox
	c.asleep, c.inbox = false, nil
	early := c.w.rand.IntN(len(inbox) + 1)
	for i, f := range inbox {
		if i == early {
			c.event(c.ring)
		}
		c.event(f)
	}
	c.event(c.ring)
}

// darken blocks the client's network for a while, in one direction or both.
func (c *client) darken() {
	until := c.w.now.Add(c.w.between(0, 2*c.cfg.Timeout))
	ways := 1 + c.w.rand.IntN(3)
	c.w.log("%v: dark until %v: up %v, down %v", c, until.Sub(clock.Instant(time.Hour)), ways&1 != 0, ways&2 != 0)
	if s := c.stream(); s != nil && c.w.chance(0.5) {
		c.w.after(c.w.between(0, c.cfg.Timeout/10), s.end) // the front server notices early
	}
	if ways&1 != 0 {
		c.dark[up] = until
	}
	if ways&2 != 0 {
		c.dark[down] = until
	}
}

// granted records that the node has granted an acquire.
func (c *client) granted(req uint64) {
	if a := c.attempts[req]; a != nil {
		a.generation = c.w.server.generation(a.message.GetName())
	}
}

// generation returns a number that changes when the semaphore or its node is deleted.
func (s *server) generation(name string) uint64 { return s.epoch<<32 + s.generations[name] }

// holds returns the session's ownership of the semaphore at the node, and whether there is one.
func (s *server) holds(name string, session uint64) (node.Holder, bool) {
	for _, o := range s.owners[name] {
		if o.Session == session {
			return o, true
		}
	}

	return node.Holder{}, false
}
