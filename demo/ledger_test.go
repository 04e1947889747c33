package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/clock"
)

func by(who string) func(hold) bool { return func(h hold) bool { return h.who == who } }

func TestLedger_Contested(t *testing.T) {
	t.Parallel()
	const start clock.Instant = 1
	late := start.Add(time.Second)
	tests := map[string]struct {
		play func(*ledger)
		want bool
	}{
		"one after another": {func(l *ledger) {
			l.begin("lock", "a", start)
			l.end(late, by("a"))
			l.begin("lock", "b", late)
		}, false},
		"read in the wrong order": {func(l *ledger) {
			l.begin("lock", "a", start)
			l.begin("lock", "b", late)
			l.end(late.Add(blur), by("a"))
		}, false},
		"the first continues": {func(l *ledger) {
			l.begin("lock", "a", start)
			l.begin("lock", "b", late)
		}, true},
		"the first continues for a while": {func(l *ledger) {
			l.begin("lock", "a", start)
			l.begin("lock", "b", late)
			l.end(late.Add(blur+1), by("a"))
		}, true},
		"two things": {func(l *ledger) {
			l.begin("job-0", "a", start)
			l.begin("job-1", "b", start)
		}, false},
		"a third hold in between": {func(l *ledger) {
			l.begin("lock", "a", start)
			l.begin("lock", "b", late)
			l.begin("lock", "c", late.Add(time.Hour))
			l.end(late.Add(time.Hour), by("b"))
			l.end(late.Add(time.Hour), by("a"))
		}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger()
			test.play(l)
			_, _, got := l.contested()
			require.Equal(t, test.want, got)
		})
	}
}

func TestLedger_AwaitSeesChanges(t *testing.T) {
	t.Parallel()
	l := newLedger()
	go l.begin("lock", "a", 1)
	got, err := l.await(t.Context(), "a hold", func(h []hold) bool { return len(h) == 1 })
	require.NoError(t, err)
	require.Equal(t, []hold{{what: "lock", who: "a", from: 1}}, got)
	require.Equal(t, got, l.now())
}
