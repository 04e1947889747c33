package main

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStage_Note(t *testing.T) {
	t.Parallel()
	s := newStage("", io.Discard)
	for _, line := range []string{
		"waiting for a lock...", "the lock is acquired", "starting work", "work is in progress...",
		"starting tasks", "worker job-0: starting", "worker job-1: starting", "worker job-0: in progress",
	} {
		s.note("a", line, 1)
	}
	require.Equal(t, []hold{
		{what: "lock", who: "a", from: 1}, {what: "job-0", who: "a", from: 1}, {what: "job-1", who: "a", from: 1},
	}, s.ledger.now())

	for _, line := range []string{"suspending work", "the lock is released", "worker job-1: done"} {
		s.note("a", line, 2)
		s.note("b", line, 2) // concerns b alone
	}
	require.Equal(t, []hold{{what: "job-0", who: "a", from: 1}}, s.ledger.now())
}

func TestStage_ProcessEndsItsHolds(t *testing.T) {
	t.Parallel()
	s := newStage("/bin", io.Discard)
	p, err := s.run("a", "sh", "-c", "echo starting work; exit 3")
	require.NoError(t, err)
	line, err := p.firstLine(t.Context())
	require.NoError(t, err)
	require.Equal(t, "starting work", line)
	<-p.ended
	require.ErrorContains(t, p.err, "exit status 3")
	require.Empty(t, s.ledger.now())
	require.Equal(t, 1, s.ledger.count(func(hold) bool { return true }))
}
