package quota_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/clock"
	"tenure/internal/quota"
)

// A bucket that is spread gives as much as before, but the caller owes what goes beyond the level.
func TestBucket_Spread(t *testing.T) {
	t.Parallel()
	now := clock.Instant(1)
	take := func(b *quota.Bucket) (n int) {
		for b.Take(now) {
			n++
		}

		return n
	}
	b := quota.NewBucket(10, 100, now)
	b.Spread(20)
	for range 20 {
		require.True(t, b.Take(now))
	}
	require.Zero(t, b.Debt(now))
	require.Equal(t, 80, take(&b))
	require.Equal(t, 8*time.Second, b.Debt(now))

	now = now.Add(3 * time.Second)
	require.Equal(t, 5*time.Second, b.Debt(now))
	require.Zero(t, take(&b), "the loan is used up")
	now = now.Add(6 * time.Second)
	require.Equal(t, 10, take(&b))
	require.Zero(t, b.Debt(now))

	b = quota.NewBucket(10, 100, now)
	b.Spread(200)
	require.Equal(t, 100, take(&b), "it contains less than that")
	require.Zero(t, b.Debt(now))
}
