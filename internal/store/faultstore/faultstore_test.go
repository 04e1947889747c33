package faultstore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
	"tenure/internal/store"
	"tenure/internal/store/faultstore"
	"tenure/internal/store/memstore"
	"tenure/internal/store/storetest"
)

var errInjected = errors.New("injected")

func put(key string) store.Batch {
	return store.Batch{Space: 1, Changes: []node.Record{storetest.Put(key, "v")}}
}

func TestStore_PassesTheSuiteWithoutFaults(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) func() (store.Store, error) {
		var disk memstore.Disk

		return func() (store.Store, error) {
			s, err := disk.Open()
			if err != nil {
				return nil, err
			}

			return faultstore.Wrap(s), nil
		}
	})
}

func TestFault_Commit(t *testing.T) {
	t.Parallel()
	lost := &faultstore.Fault{When: faultstore.Nth(faultstore.Commit, 2), Err: errInjected}
	unheard := &faultstore.Fault{When: faultstore.Nth(faultstore.Commit, 3), Err: errInjected, Applied: true}
	never := &faultstore.Fault{When: faultstore.Nth(faultstore.Close, 7)}
	s := faultstore.Wrap(memstore.New(), never, lost, unheard)

	require.NoError(t, s.Commit(t.Context(), put("1")))
	require.ErrorIs(t, s.Commit(t.Context(), put("2")), errInjected)
	require.ErrorIs(t, s.Commit(t.Context(), put("3")), errInjected)
	require.NoError(t, s.Commit(t.Context(), put("4")))
	require.Equal(t, []string{`"1"="v"`, `"3"="v"`, `"4"="v"`}, storetest.Records(t, s, 1))
	require.Equal(t, []int{1, 1, 0}, []int{lost.Hits(), unheard.Hits(), never.Hits()})
}

func TestFault_AppliedNeedsTheStore(t *testing.T) {
	t.Parallel()
	inner := memstore.New()
	s := faultstore.Wrap(inner, &faultstore.Fault{Err: errInjected, Applied: true})
	require.NoError(t, inner.Close())
	require.ErrorIs(t, s.Commit(t.Context(), put("1")), store.ErrClosed, "nothing was applied, so the store's error")
}

func TestFault_Load(t *testing.T) {
	t.Parallel()
	early := &faultstore.Fault{When: faultstore.Nth(faultstore.Load, 1), Err: errInjected}
	late := &faultstore.Fault{When: faultstore.From(faultstore.Load, 2), Err: errInjected, Applied: true}
	s := faultstore.Wrap(memstore.New(), early, late)
	require.NoError(t, s.Commit(t.Context(), put("1")))

	for call, want := range []int{0, 1, 1} {
		records, last := 0, error(nil)
		for _, err := range s.Load(t.Context(), 1) {
			if last = err; err == nil {
				records++
			}
		}
		require.ErrorIs(t, last, errInjected)
		require.Equal(t, want, records, "load %d", call+1)
	}
	require.Equal(t, []int{1, 2}, []int{early.Hits(), late.Hits()})
}

func TestFault_Close(t *testing.T) {
	t.Parallel()
	f := &faultstore.Fault{When: faultstore.Nth(faultstore.Close, 1), Err: errInjected}
	s := faultstore.Wrap(memstore.New(), f)
	require.ErrorIs(t, s.Close(), errInjected)
	require.NoError(t, s.Commit(t.Context(), put("1")), "the fault kept Close from reaching the store")
	require.NoError(t, s.Close())
	require.Equal(t, 1, f.Hits())
}

func TestFault_PauseHoldsTheCall(t *testing.T) {
	t.Parallel()
	reached, release := make(chan faultstore.Call), make(chan struct{})
	f := &faultstore.Fault{When: faultstore.Each(faultstore.Commit), Pause: func(_ context.Context, c faultstore.Call) {
		reached <- c
		<-release
	}}
	s := faultstore.Wrap(memstore.New(), f)
	done := make(chan error)
	go func() { done <- s.Commit(t.Context(), put("1")) }()

	c := <-reached
	require.Equal(t, faultstore.Call{Op: faultstore.Commit, N: 1, Space: 1, Batch: put("1")}, c)
	require.Empty(t, storetest.Records(t, s, 1))
	require.Equal(t, 1, f.Hits())
	close(release)
	require.NoError(t, <-done)
	require.Len(t, storetest.Records(t, s, 1), 1)
}
