package cluster_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/test/cluster/clustertest"
)

// Servers that break the design are noticed.
func TestFaults_NoticesBreaks(t *testing.T) {
	t.Parallel()
	for name, happens := range map[string]func(*stage){
		"read without proof": stopReader, "believe lease": revokeLease, "commit without compare": stopOwner,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, clustertest.Options{Tags: "breaks", ServerEnv: []string{"TENURE_BREAKS=" + name}})
			err := s.notice(happens)
			t.Log(err)
			require.Error(t, err)
		})
	}
}

// notice lets a fault happen to servers that break the design, and returns what must not have happened.
func (s *stage) notice(happens func(*stage)) (err error) {
	s.Helper()
	s.breaks = true
	defer func() {
		if thrown := recover(); thrown != nil {
			err = errors.Join(err, thrown.(error))
		}
	}()
	const tries = 5 // because a break shows only if somebody asks the right server at the right time
	for range tries {
		happens(s)
		s.calm()
		if err := errors.Join(s.check(), s.soFar()); err != nil {
			return err
		}
	}

	return nil
}

// soFar checks the history of clients that go on afterwards.
func (s *stage) soFar() error {
	s.Helper()
	s.mute(changes, true) // a change whose end is not known yet is not in the history
	defer s.mute(changes, false)

	return s.history.check()
}
