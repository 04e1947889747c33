package session

import (
	"errors"
	"math/rand/v2"
	"time"

	"tenure/internal/clock"
)

// Why sessions, leases and calls end. A server's refusal is a *StatusError instead.
var (
	ErrDeadline    = errors.New("no answer from the node in time: the session may have expired")
	ErrClosed      = errors.New("the session was closed")
	ErrReleased    = errors.New("the lease was released")
	ErrDeleted     = errors.New("the semaphore was deleted")
	ErrNotAcquired = errors.New("not acquired in time")
	ErrUnknown     = errors.New("the server may have done it or not")
	ErrOver        = errors.New("the session is over")
)

// Config is what a session goes by. All durations but LongestPause are above zero.
type Config struct {
	Path           string
	Description    string
	Key            []byte        // protection key: nobody else can attach to the session
	Timeout        time.Duration // whole milliseconds
	StartTimeout   time.Duration // for an attach to be answered; at most a quarter of Timeout once there is a session
	StopTimeout    time.Duration // likewise for a stop
	Silence        time.Duration // for a renewal to be answered; at most a quarter of Timeout
	ReconnectDelay time.Duration // the first pause between attempts that fail; they grow
	LongestPause   time.Duration // which they do not grow beyond; 0, or more than that: an eighth of Timeout
	Seed           uint64        // of the jitter of pauses
}

// phase is what the session does about its stream.
type phase uint8

const (
	apart     phase = iota // it has none, and waits until reopenAt
	attaching              // SessionStart is sent
	attached
	stopping // SessionStop is sent
	over
)

// Core is one session. Its methods take the instant of the call and never go back behind an earlier one. Before
// anything else, each ends the session if its deadline has come. Not safe for concurrent use.
//
// C1 Leases are held only while there is a deadline and it has not come.
// C2 Calls reach the wire in the order of Begin, over each stream anew.
// C3 A grant that nobody waits for is given back, before a later acquire of the same name is sent.
// C4 Streams are opened at least minSpacing apart.
type Core struct {
	cfg    Config
	jitter *rand.Rand
	now    clock.Instant
	phase  phase
	cause  error // why it is over, or closing

	id      uint64 // 0: not made yet
	seq     uint64
	stream  StreamID      // current, or the last one
	asked   clock.Instant // when SessionStart, or SessionStop, was sent
	opened  clock.Instant // when the stream was
	since   clock.Instant // attached
	proof   proof
	reopen  clock.Instant
	retries int

	calls    outstanding
	lastReq  uint64
	acquires map[string][]*Call // outstanding, by name, in order
	renewal  *Call              // nil: none is under way
	leases   map[string]*Lease
	held     []*Lease // the same, in the order of renewal
	turn     int
	watches  map[uint64]*Watch // by the req_id of their Describe
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

// ID returns the session's id; 0 before the first Started.
func (c *Core) ID() uint64 { return c.id }

// Apart reports whether the session has no stream and Tick opens the next one, or whether it is over.
func (c *Core) Apart() bool { return c.phase == apart || c.phase == over }

// Deadline returns until when the session is surely alive: 0 before it is started, and when it is over.
func (c *Core) Deadline() clock.Instant {
	if c.phase == over || c.cause != nil {
		return 0
	}

	return c.proof.deadline()
}

// Start opens the first stream. It is called once, first.
func (c *Core) Start(now clock.Instant, fx *Effects) {
	c.now = now
	c.open(fx)
	c.wake(fx)
}

// Tick does what is due.
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
		if now >= c.asked.Add(c.startLimit()) {
			c.disconnect(errNoStart, fx)
		}
	case attached:
		c.renew(fx)
	case stopping:
		if now >= c.asked.Add(c.cfg.StopTimeout) {
			c.disconnect(errNoStop, fx)
		}
	case over:
	}
}

// enter moves the time on and ends what is past its deadline. It reports whether there is still a session to deal with.
func (c *Core) enter(now clock.Instant, fx *Effects) bool {
	c.now = max(c.now, now)
	if d := c.proof.deadline(); c.phase != over && d != 0 && c.now >= d {
		c.end(ErrDeadline, fx)
	}

	return c.phase != over
}

// wake notes when Tick is due next.
func (c *Core) wake(fx *Effects) {
	var next clock.Instant
	switch c.phase {
	case apart:
		next = c.reopen
	case attaching:
		next = c.asked.Add(c.startLimit())
	case attached:
		next = c.proof.due()
		if c.renewal != nil {
			next = c.renewal.sentAt.Add(c.silence())
		}
	case stopping:
		next = c.asked.Add(c.cfg.StopTimeout)
	case over:
		fx.Wake = 0

		return
	}
	if d := c.proof.deadline(); d != 0 {
		next = min(next, d)
	}
	fx.Wake = next
}

// Close begins to end the session: leases and calls end now, then the server is told, as soon as it can be reached.
// A Closed action follows, at the session's deadline at the latest.
func (c *Core) Close(now clock.Instant, fx *Effects) {
	defer c.wake(fx)
	if !c.enter(now, fx) || c.cause != nil {
		return
	}
	c.finishAll(ErrClosed, fx)
	switch {
	case c.id == 0: // nobody knows a session by which it could be stopped
		c.gone(ErrClosed, fx)
	case c.phase == attached:
		c.stop(fx)
	case c.phase == apart && c.now >= c.opened.Add(minSpacing):
		c.open(fx)
	}
}

// Abort ends the session without telling the server.
func (c *Core) Abort(now clock.Instant, fx *Effects) {
	defer c.wake(fx)
	if c.enter(now, fx) {
		c.end(ErrClosed, fx)
	}
}

// end ends the session for good.
func (c *Core) end(cause error, fx *Effects) {
	c.finishAll(cause, fx)
	c.gone(cause, fx)
}

// finishAll ends leases, calls and watches, once.
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
			fx.do(Finished{Call: call, Err: ErrUnknown})
		default:
			fx.do(Finished{Call: call, Err: ErrOver})
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
	fx.do(Closed{cause})
}
