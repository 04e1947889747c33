package node

import (
	"errors"
	"fmt"
	"time"
)

// Lift is by how much Restored raises the counters of session ids and order ids. No node assigns so many ids between a
// backup and its restore: at 100,000 a second, that takes 127 days.
const Lift = 1 << 40

// maxLifted is the largest counter after a restore. It leaves as many ids as a signed number of 64 bits has, because
// programs may keep a fencing token in one. It is reached after 8 million restores.
const maxLifted = 1<<63 - 1 - Lift

// ErrUsedUp is the error of Restored for a counter that cannot be raised.
var ErrUsedUp = errors.New("the ids of sessions or fencing tokens are used up")

// Lifted returns the counter after a restore.
func Lifted(counter uint64) (uint64, error) {
	if counter > maxLifted-Lift {
		return 0, fmt.Errorf("%w (%d)", ErrUsedUp, counter)
	}

	return counter + Lift, nil
}

// Restored returns the record that takes the place of r when a node is restored from a backup. It raises the counters,
// so that no session and no link gets an id that was assigned after the backup. Unless sessions are kept, it leaves out
// sessions, links, and ephemeral semaphores, which exist only with links, and returns false for them.
func Restored(r Record, keepSessions bool) (restored Record, ok bool, err error) {
	kind, _, known := splitKey(r.Key)
	if !known {
		return Record{}, false, fmt.Errorf("%w: unknown key %x", ErrDamaged, r.Key)
	}
	d := decode(r)
	switch kind {
	case kindCounters:
		c := counters{d.uint(), d.uint(), d.uint()}
		if err := d.end(); err != nil {
			return Record{}, false, err
		}
		c.session, err = Lifted(c.session)
		if err == nil {
			c.order, err = Lifted(c.order)
		}

		return Record{Key: r.Key, Value: c.encode()}, err == nil, err
	case kindSemaphore:
		d.string()
		d.uint()
		ephemeral := d.uint() == 1

		return r, keepSessions || !ephemeral, d.err
	default:
		return r, keepSessions, d.err
	}
}

// LongestTimeout returns the longest timeout of all sessions, or 0 if there are none.
func (n *Node) LongestTimeout() time.Duration {
	var longest uint64
	for _, s := range n.sessions {
		longest = max(longest, s.timeoutMillis)
	}

	return millis(longest)
}
