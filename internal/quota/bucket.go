package quota

import (
	"time"

	"tenure/internal/clock"
)

// A Bucket limits a rate. It is not safe for concurrent use.
type Bucket struct {
	rate  float64 // in a second; 0: no limit
	most  float64
	level float64 // negative: owed
	loan  float64 // units that Take may still give when there are none
	at    clock.Instant
}

// NewBucket returns a bucket for a rate a second, that starts with burst units. A rate of 0 means no limit.
func NewBucket(rate float64, burst int, now clock.Instant) Bucket {
	return Bucket{rate: rate, most: float64(burst), level: float64(burst), at: now}
}

// Take reports whether one more is within the rate, and counts it if so.
func (b *Bucket) Take(now clock.Instant) bool {
	b.fill(now)
	if b.rate > 0 && b.level < 1 {
		if b.loan < 1 {
			return false
		}
		b.loan--
	}
	b.level--

	return true
}

// Owe counts one that cannot be refused. Later ones pay for it, but not for more than one burst.
func (b *Bucket) Owe(now clock.Instant) {
	b.fill(now)
	b.level = max(b.level-1, -b.most)
}

// Give adds n units, as far as the bucket has room.
func (b *Bucket) Give(n float64) { b.level = min(b.level+n, b.most) }

// Spread makes what the bucket contains, beyond a level, a loan: Take gives it, but the caller has to wait for it, as
// long as Debt says. It is called once.
func (b *Bucket) Spread(level float64) {
	b.loan = max(b.level-level, 0)
	b.level -= b.loan
}

// Debt returns the time after which nothing is owed any more.
func (b *Bucket) Debt(now clock.Instant) time.Duration {
	b.fill(now)
	if b.level >= 0 || b.rate == 0 {
		return 0
	}

	return time.Duration(-b.level / b.rate * float64(time.Second))
}

// Set changes the rate and the burst. What was used before counts.
func (b *Bucket) Set(rate float64, burst int, now clock.Instant) {
	b.fill(now)
	used := b.most - b.level
	if b.rate == 0 {
		used = 0
	}
	b.rate, b.most = rate, float64(burst)
	b.level = max(b.most-used, -b.most)
}

func (b *Bucket) fill(now clock.Instant) {
	if elapsed := now.Sub(b.at); elapsed > 0 {
		b.level = min(b.level+b.rate*elapsed.Seconds(), b.most)
		b.at = now
	}
}
