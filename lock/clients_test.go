package lock_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure"
	"tenure/lock"
	"tenure/tenuretest"
)

// clients returns the client of package tenure and the SDK's, each with a server of its own.
func clients(t *testing.T) map[string]coordination.Client {
	t.Helper()
	all := map[string]coordination.Client{}
	for _, which := range []string{"tenure", "sdk"} {
		db, err := ydb.Open(t.Context(), tenuretest.NewServer(t).DSN(), ydb.WithAnonymousCredentials())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close(context.WithoutCancel(t.Context()))) })
		all[which] = tenure.New(db)
		if which == "sdk" {
			all[which] = db.Coordination()
		}
	}

	return all
}

// acquire acquires a lock, and releases it at the end of the test.
func acquire(t *testing.T, client coordination.Client, name string, opts ...lock.Option) *lock.Held {
	t.Helper()
	held, err := lock.Acquire(t.Context(), client, path, name, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = held.Release(context.WithoutCancel(t.Context())) })

	return held
}

// unused is work that must not be called.
func unused(t *testing.T) func(context.Context, *lock.Held) error {
	t.Helper()

	return func(context.Context, *lock.Held) error {
		t.Error("work was called")

		return nil
	}
}

// A recorder keeps events.
type recorder struct {
	mu     sync.Mutex
	events []lock.Event
	news   chan struct{} // capacity 1
}

func newRecorder() *recorder { return &recorder{news: make(chan struct{}, 1)} }

func (r *recorder) observer() lock.Option {
	return lock.WithObserver(func(e lock.Event) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.events = append(r.events, e)
		select {
		case r.news <- struct{}{}:
		default:
		}
	})
}

// all returns the events of a kind.
func all[E lock.Event](r *recorder) []E {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []E
	for _, e := range r.events {
		if e, ok := e.(E); ok {
			found = append(found, e)
		}
	}

	return found
}

// await returns the newest event of a kind that has the property.
func await[E lock.Event](t *testing.T, r *recorder, is func(E) bool) E {
	t.Helper()
	for {
		if found := all[E](r); len(found) > 0 && is(found[len(found)-1]) {
			return found[len(found)-1]
		}
		select {
		case <-r.news:
		case <-t.Context().Done():
			require.FailNow(t, "the event did not come")
		}
	}
}
