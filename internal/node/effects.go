package node

import "tenure/internal/clock"

// Effects is what the caller of Apply owes, in this order: commit Changes in one durable write, then send Replies in
// slice order, and call Apply with Tick at Wake at the latest. Apply adds to what is there already, so that a batch of
// requests is one Effects; its zero value is an empty batch.
type Effects struct {
	Changes []Record
	Replies []Reply
	Wake    clock.Instant // zero: nothing is due

	size     int // of the values in Changes, in bytes; superseded ones count too
	counters int // 1 + the index in Changes of the counters' record; 0: none yet
}

// Empty reports whether the batch has nothing to commit and nothing to say.
func (fx *Effects) Empty() bool { return len(fx.Changes) == 0 && len(fx.Replies) == 0 }

// Size is about how many bytes the changes take.
func (fx *Effects) Size() int { return fx.size }

func (fx *Effects) put(key, value []byte) {
	fx.size += len(value)
	fx.Changes = append(fx.Changes, Record{key, value})
}

func (fx *Effects) del(key []byte) { fx.Changes = append(fx.Changes, Record{Key: key}) }

// putCounters keeps one record of the counters a batch, whatever the number of requests in it.
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
