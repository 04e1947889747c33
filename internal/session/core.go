package session

import (
	"errors"
	"math/rand/v2"
	"time"

	"tenure/internal/clock"
)

// The reasons why sessions, leases and calls end. When the server refuses a request, the reason is a *StatusError.
var (
	ErrDeadline    = errors.New("no answer from the node in time: the session may have expired")
	ErrClosed      = errors.New("the session was closed")
	ErrReleased    = errors.New("the lease was released")
	ErrDeleted     = errors.New("the semaphore was deleted")
	ErrNotAcquired = errors.New("not acquired in time")
	ErrAnswer      = errors.New("the answer cannot be received")
	ErrUnknown     = errors.New("the outcome is unknown")
	ErrOver        = errors.New("the session has ended")
)

// Config holds the settings of a session. All durations except LongestPause must be positive.
type Config struct {
	Path           string
	Description    string
	Key            []byte        // protection key: only streams that send it can attach to the session
	Timeout        time.Duration // whole milliseconds
	StartTimeout   time.Duration // for the answer to an attach; at most a quarter of Timeout once the session exists
	StopTimeout    time.Duration // for the answer to a stop
	Silence        time.Duration // for the answer to a renewal; at most a quarter of Timeout
	ReconnectDelay time.Duration // first pause between failed attempts to attach; later pauses are longer
	LongestPause   time.Duration // upper limit of these pauses, itself limited to an eighth of Timeout; 0: that eighth
	Seed           uint64        // of the jitter of the pauses
}

// phase is the state of the session's stream.
type phase uint8

const (
	apart     phase = iota // there is no stream; the next one is opened at reopen
	attaching              // SessionStart has been sent
	attached
	stopping // SessionStop has been sent
	over     // the session has ended
)

// Core is one session. Its methods take the instant of the call. If that is before the instant of an earlier call, they
// use the earlier call's instant. Each method first ends the session if its deadline has passed. A Core is not safe for
// concurrent use.
//
// C1 Leases are held only while the session has a deadline and the deadline has not passed.
// C2 Calls for one semaphore are sent in the order of Begin. All calls are repeated in that order over each new stream.
// C3 A grant that no caller waits for is released before a later acquire of the same name is sent.
// C4 Streams are opened at least minSpacing apart.
type Core struct {
	cfg    Config
	jitter *rand.Rand
	now    clock.Instant
	phase  phase
	cause  error // why the session has ended or is being closed; nil: neither

	id         uint64 // 0: the server has not created the session yet
	seq        uint64
	stream     StreamID      // the current stream, or the last one
	asked      clock.Instant // when SessionStart or SessionStop was last sent; 0: the stream is delayed
	heard      clock.Instant // when the server last answered an attach of any session of the client
	opened     clock.Instant // when the stream was opened
	since      clock.Instant // when the stream was attached
	proof      proof
	refusal    *RefusedError // the server's last refusal to continue the session, since the newest proof; nil: none
	reopen     clock.Instant // when to open the next stream, while apart
	retries    int           // attempts to attach since a stream last stayed attached for long
	refusals   int           // of them, those that the server refused because too many sessions begin
	unanswered int           // of them, those without an answer
	ending     *ending       // nil: the core is a session that has leases and calls

	calls     outstanding
	lastReq   uint64             // req_id of the newest call
	acquires  map[string][]*Call // outstanding acquires by name, oldest first
	spare     []*Call            // an empty list for acquires; nil: make one
	renewal   *Call              // the outstanding renewal; nil: there is none
	again     clock.Instant      // when to look for calls that are to be sent again; 0: there are none
	notBefore clock.Instant      // the next renewal is not sent before, because the server was overloaded
	leases    map[string]*Lease
	held      []*Lease          // the values of leases; renewals describe them in turn
	turn      int               // counts renewals, to choose from held
	watches   map[uint64]*Watch // by the req_id of their Describe
}

// New returns a session that has not been started.
func New(cfg Config) *Core {
	return &Core{
		cfg:      cfg,
		jitter:   rand.New(rand.NewPCG(cfg.Seed, cfg.Seed)),
		proof:    proof{timeout: cfg.Timeout},
		calls:    outstanding{byReq: make(map[uint64]*Call)},
		acquires: make(map[string][]*Call),
		leases:   make(map[string]*Lease),
		watches:  make(map[uint64]*Watch),
	}
}

// ID returns the session's id, or 0 before the first Started action.
func (c *Core) ID() uint64 { return c.id }

// Apart reports whether the session has no stream, so that Tick opens the next one, or has ended.
func (c *Core) Apart() bool { return c.phase == apart || c.phase == over }

// Deadline returns the instant until which the session is certainly alive. It returns 0 before the session has started
// and once it has ended or is being closed.
func (c *Core) Deadline() clock.Instant {
	if c.phase == over || c.cause != nil {
		return 0
	}

	return c.proof.deadline()
}

// Start opens the first stream. Call it once, before any other method.
func (c *Core) Start(now clock.Instant, fx *Effects) {
	c.now = now
	c.open(fx)
	c.wake(fx)
}

// Tick performs the work that is due.
func (c *Core) Tick(now clock.Instant, fx *Effects) {
	defer c.wake(fx)
	if !c.enter(now, fx) {
		return
	}
	switch c.phase {
	case apart:
		if now >= c.reopen {
			c.open(fx)
		}
	case attaching:
		if due := c.startDue(); due != 0 && now >= due {
			c.unanswered++
			c.disconnect(errNoStart, fx)
		}
	case attached:
		c.resend(fx)
		c.renew(fx)
	case stopping:
		if now >= c.asked.Add(c.cfg.StopTimeout) {
			c.disconnect(errNoStop, fx)
		}
	case over:
	}
}

// enter advances the core's time and ends the session if its deadline has passed. It reports whether the session has
// not ended.
func (c *Core) enter(now clock.Instant, fx *Effects) bool {
	c.now = max(c.now, now)
	if d := c.limit(); c.phase != over && d != 0 && c.now >= d {
		c.end(c.expiry(), fx)
	}

	return c.phase != over
}

// limit returns the instant at which the core ends if nothing happens, or 0 if there is none.
func (c *Core) limit() clock.Instant {
	if c.ending != nil {
		return c.ending.until
	}

	return c.proof.deadline()
}

// wake sets the instant at which Tick is due next.
func (c *Core) wake(fx *Effects) {
	var next clock.Instant
	switch c.phase {
	case apart:
		next = c.reopen
	case attaching:
		next = c.startDue()
	case attached:
		next = c.renewAt()
		if c.renewal != nil {
			next = c.renewal.sentAt.Add(c.silence())
		}
		if c.again != 0 {
			next = min(next, c.again)
		}
	case stopping:
		next = c.asked.Add(c.cfg.StopTimeout)
	case over:
		fx.Wake = 0

		return
	}
	if d := c.limit(); d != 0 && (next == 0 || d < next) {
		next = d
	}
	fx.Wake = next
}

// Close starts to end the session. Leases and calls end immediately. The core then asks the server to end the session,
// as soon as it can reach it. A Closed action follows, at the session's deadline at the latest.
func (c *Core) Close(now clock.Instant, fx *Effects) {
	defer c.wake(fx)
	if !c.enter(now, fx) {
		return
	}
	if c.ending != nil {
		c.last(fx)
	}
	if c.cause != nil {
		return
	}
	c.finishAll(ErrClosed, fx)
	switch {
	case c.id == 0, // without an id there is nothing to ask the server to stop
		c.phase == apart && c.refusal != nil: // an ending asks the server, and nobody has to wait for it
		c.gone(ErrClosed, fx)
	case c.phase == attached:
		c.stop(fx)
	case c.phase == apart && c.now >= c.opened.Add(minSpacing):
		c.open(fx)
	}
}

// Abort ends the session without a message to the server.
func (c *Core) Abort(now clock.Instant, fx *Effects) {
	defer c.wake(fx)
	if c.enter(now, fx) {
		c.end(ErrClosed, fx)
	}
}

// end ends the session and everything that belongs to it.
func (c *Core) end(cause error, fx *Effects) {
	c.finishAll(cause, fx)
	c.gone(cause, fx)
}

// finishAll ends all leases, calls and watches. Only the first call has an effect.
func (c *Core) finishAll(cause error, fx *Effects) {
	if c.cause != nil {
		return
	}
	c.cause = cause
	for _, l := range c.held {
		l.ended = true
	}
	c.held, c.renewal = nil, nil
	clear(c.leases)
	clear(c.acquires)
	fx.do(Over{cause})
	for call := c.calls.first; call != nil; call = c.calls.first {
		c.calls.remove(call)
		switch {
		case call.abandoned:
		case call.changes() && call.everSent:
			fx.finish(Finished{Call: call, Err: ErrUnknown})
		default:
			fx.finish(Finished{Call: call, Err: ErrOver})
		}
	}
	c.loseWatches(fx)
	clear(c.watches)
}

func (c *Core) gone(cause error, fx *Effects) {
	if c.phase != apart {
		fx.do(Drop{Stream: c.stream})
	}
	c.phase = over
	fx.do(Closed{cause, c.left(cause)})
}
