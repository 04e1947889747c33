package node

import "tenure/internal/clock"

// Effects is what the caller of Apply must carry out, in this order: commit Changes in one durable write, then send
// Replies in slice order. The caller must also call Apply with a Tick no later than Wake.
//
// Apply adds to the effects that are already present, so one Effects can collect those of a batch of requests. The zero
// value is an empty batch.
type Effects struct {
	Changes []Record
	Replies []Reply
	Wake    clock.Instant // zero if no deadline is set
	Events  []Event       // in order, if the node has a listener; pass them on once Changes are durable

	size     int // of the values in Changes in bytes, including superseded values
	counters int // 1 + the index of the counters record in Changes; 0 if there is none yet

	described int // the size of the newest description
	copied    int // the number of owners and waiters that were copied for descriptions
}

// Empty reports whether the batch has nothing to commit and nothing to send.
func (fx *Effects) Empty() bool { return len(fx.Changes) == 0 && len(fx.Replies) == 0 }

// Size returns the approximate size of the changes in bytes.
func (fx *Effects) Size() int { return fx.size }

// Described returns the approximate size of the newest description in bytes, or 0 if it was refused.
func (fx *Effects) Described() int { return fx.described }

// Copied returns the number of owners and waiters that were copied for descriptions. Copying them takes most of the
// time of a Describe.
func (fx *Effects) Copied() int { return fx.copied }

func (fx *Effects) put(key, value []byte) {
	fx.size += len(value)
	fx.Changes = append(fx.Changes, Record{key, value})
}

func (fx *Effects) del(key []byte) { fx.Changes = append(fx.Changes, Record{Key: key}) }

// putCounters keeps a single counters record in a batch, regardless of the number of requests.
func (fx *Effects) putCounters(c counters) {
	value := c.encode()
	if fx.counters > 0 {
		fx.Changes[fx.counters-1].Value = value

		return
	}
	fx.put(countersKey(), value)
	fx.counters = len(fx.Changes)
}

func (fx *Effects) reply(to StreamID, m Message) {
	fx.Replies = append(fx.Replies, Reply{to, m})
}
