package session

import (
	"errors"
	"time"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"

	"tenure/internal/clock"
)

// endPause is the longest pause between two attempts to end a session. A server that has been away must be asked soon
// after its return.
const endPause = 300 * time.Millisecond

// ending is the state of a Core that only ends a session on the server.
type ending struct {
	patience time.Duration // how long to keep trying while the server refuses the attach
	refused  clock.Instant // when the server first refused it; 0: it has not
	until    clock.Instant // after Close: when to give up; 0: Close has not been called
}

// NewEnding returns a Core that ends the session with the given id and the key of cfg on the server: it attaches to the
// session and stops it. It has no leases, and accepts no calls. The seq_no of its first attach is seq+1.
//
// The attach sets the timeout of the session to 0, so that the session also ends if the stream breaks before the stop
// arrives (A10). Otherwise each further attempt would extend the life of the session, and over a network that is too
// slow for the pings of the server, the session would never end.
//
// No code may work under the session any longer, because the server may grant its semaphores to others as soon as Start
// has been called.
//
// The Core tries until the server answers that it has stopped the session, or that the session does not exist, or that
// another client has attached to it. While the server cannot be reached, there is no limit. While the server refuses
// the attach for another reason, the limit is patience. Then a Closed action follows. After Close, the Core completes
// the attempt in progress, or makes a last one, within the StopTimeout.
func NewEnding(cfg Config, id, seq uint64, patience time.Duration) *Core {
	cfg.LongestPause = endPause
	c := New(cfg)
	c.id, c.seq, c.cause = id, seq, ErrClosed
	c.ending = &ending{patience: patience}

	return c
}

// Ending returns a Core that ends the session of c on the server. It must be called after a Closed action with Left.
func (c *Core) Ending(patience time.Duration) *Core { return NewEnding(c.cfg, c.id, c.seq, patience) }

// left reports whether the server may still have the session when the core ends for the given cause, and no other
// client has attached to it.
func (c *Core) left(cause error) bool {
	refusal, refused := errors.AsType[*StatusError](cause)
	if !refused {
		return true
	}
	switch refusal.Status {
	case Ydb.StatusIds_SESSION_EXPIRED, Ydb.StatusIds_NOT_FOUND, // the session, or the node, does not exist
		Ydb.StatusIds_BAD_SESSION: // another client has attached to the session (A6), or the key is wrong
		return false
	default:
		return c.id != 0
	}
}

// last makes the attempt in progress, or the next one, the last attempt of an ending.
func (c *Core) last(fx *Effects) {
	if c.ending.until != 0 {
		return
	}
	c.ending.until = c.now.Add(c.cfg.StopTimeout)
	if c.phase != apart {
		return
	}
	if c.reopen = c.opened.Add(minSpacing); c.now >= c.reopen {
		c.open(fx)
	}
}
