package look

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/printable"
)

// state returns a semaphore with these tokens of holders and waiters.
func state(holders, waiters []uint64) Semaphore {
	s := Free("deploy")
	s.Held = len(holders) > 0
	for _, token := range holders {
		s.Holders = append(s.Holders, NewHolder(token, token, nil))
	}
	for _, token := range waiters {
		s.Waiters = append(s.Waiters, NewHolder(token, token, nil))
	}

	return s
}

func full(s Semaphore) Semaphore {
	s.full = true

	return s
}

// A watch never hides that it may have missed grants: each grant has a token, and tokens grow.
func TestHistory(t *testing.T) {
	t.Parallel()
	type tokens = []uint64
	one, two := state(tokens{1}, nil), state(tokens{1}, tokens{2})
	for name, test := range map[string]struct {
		before, next Semaphore
		fired        bool
		nothing      bool
		unseen       uint64
		again        bool
	}{
		"the next waiter is granted": {
			before: state(tokens{1}, tokens{2, 3}), next: state(tokens{2}, tokens{3}), fired: true,
		},
		"a waiter is skipped": {
			before: state(tokens{1}, tokens{2, 3}), next: state(tokens{3}, nil), fired: true, unseen: 1,
		},
		"two grants at the same time":                 {before: two, next: state(tokens{4}, nil), fired: true, unseen: 2},
		"the newest comes next":                       {before: one, next: state(tokens{2}, tokens{3}), fired: true},
		"it becomes free":                             {before: state(tokens{1}, nil), next: state(nil, nil), fired: true},
		"it was free for a while, as far as is known": {before: state(nil, nil), next: state(tokens{3}, nil), unseen: 2},
		"a waiter has come":                           {before: one, next: two, nothing: true},
		"nothing has changed":                         {before: one, next: one, nothing: true},
		"it has changed back":                         {before: one, next: one, fired: true, again: true},
		"a waiter has left, or was granted": {
			before: state(tokens{1}, tokens{2}), next: state(tokens{1}, nil), unseen: 1, again: true,
		},
		"a waiter has left a lock that was held all the time": {
			before: full(state(tokens{1}, tokens{2})), next: full(state(tokens{1}, nil)), nothing: true,
		},
		"a shared one gets another holder": {
			before: state(tokens{1, 2}, nil), next: state(tokens{1, 2, 3}, nil), fired: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var h history
			require.NotNil(t, h.add(test.before, false), "the first state is always shown")
			if len(test.before.Holders) == 0 {
				h.newest = 0
			}
			c := h.add(test.next, test.fired)
			if test.nothing {
				require.Nil(t, c)

				return
			}
			require.NotNil(t, c)
			require.Equal(t, test.unseen, c.Unseen)
			require.Equal(t, test.again, c.Again)
		})
	}
}

// A watch that begins while the semaphore is free has seen no token yet. The number of the grants that may be missing
// would count all grants from before the watch.
func TestHistory_FirstToken(t *testing.T) {
	t.Parallel()
	var h history
	line := func(s Semaphore) string { return h.add(s, true).Line(printable.Style{}) }
	require.Contains(t, line(state(nil, nil)), `"deploy" free`)
	require.Contains(t, line(state([]uint64{812}, nil)), "token 812, grants before this one may be missing")
	require.Contains(t, line(state([]uint64{815}, nil)), "token 815, at most 2 grants before this one are not shown")
}
