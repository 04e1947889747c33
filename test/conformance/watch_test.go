package conformance_test

import (
	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"
)

const everything = options.WatchData | options.WatchOwners

// watch sets a watch. The channel receives its event.
func (s *suite) watch(
	by coordination.Session, name string, flags options.SemaphoreWatchFlag,
) <-chan options.SemaphoreWatchEvent {
	s.Helper()
	events := make(chan options.SemaphoreWatchEvent, 2)
	_, err := by.DescribeSemaphore(s.ctx, name, options.WithSemaphoreWatch(flags,
		func(e options.SemaphoreWatchEvent) { events <- e }))
	require.NoError(s, err)

	return events
}

// S5, S6: a data watch fires once, when the data changes, and for nothing else.
func (s *suite) watchData() {
	watcher, other := s.session(), s.session()
	s.semaphore(other, "slots", 5)
	watch := s.watch(watcher, "slots", options.WatchData)
	s.release(s.acquire(other, "slots", 1))
	require.NoError(s, other.UpdateSemaphore(s.ctx, "slots", options.WithUpdateData([]byte("new"))))
	require.Equal(s, options.SemaphoreWatchEvent{DataChanged: true}, receive(s, watch))

	again := s.watch(watcher, "slots", everything)
	require.NoError(s, other.UpdateSemaphore(s.ctx, "slots", options.WithUpdateData([]byte("newer"))))
	require.Equal(s, options.SemaphoreWatchEvent{DataChanged: true}, receive(s, again))
	require.Empty(s, watch, "the first watch fired again")
}

// S6: an owners watch fires on a grant, a release, a lower count, new data of an owner, and the end of an owner's
// session. A new waiter does not fire it.
func (s *suite) watchOwners() {
	watcher, other, late := s.session(), s.session(), s.session()
	passing := s.session(options.WithSessionTimeout(brief)) // the official client's Close leaves it to its timeout
	s.semaphore(watcher, "slots", 5)
	var lease coordination.Lease
	var waiting <-chan acquired
	for _, step := range []struct {
		name string
		does func()
	}{
		{"grant", func() { lease = s.acquire(other, "slots", 4) }},
		{"shrink", func() { lease = s.acquire(other, "slots", 3) }},
		{"data", func() { lease = s.acquire(other, "slots", 3, options.WithAcquireData([]byte("new"))) }},
		{"waiter, then data", func() {
			waiting = s.queue(late, "slots", 3)
			require.NoError(s, other.UpdateSemaphore(s.ctx, "slots", options.WithUpdateData([]byte("new"))))
			s.acquire(passing, "another", 1, options.WithEphemeral(true))
			lease = s.acquire(other, "slots", 2)
			s.granted(waiting)
		}},
		{"release", func() { s.release(lease) }},
		{"grant while another session owns a part", func() { s.acquire(passing, "slots", 1) }},
		{"expiry", func() { require.NoError(s, passing.Close(s.ctx)) }},
	} {
		watch := s.watch(watcher, "slots", options.WatchOwners)
		step.does()
		require.Equal(s, options.SemaphoreWatchEvent{OwnersChanged: true}, receive(s, watch), step.name)
	}
}

// S3, Q11: a watch fires when its semaphore is deleted, with the flags that it was set with.
func (s *suite) watchDeleted() {
	one, two, three, other := s.session(), s.session(), s.session(), s.session()
	watchAll := func(name string) {
		s.Helper()
		data := s.watch(one, name, options.WatchData)
		owners := s.watch(two, name, options.WatchOwners)
		both := s.watch(three, name, everything)
		if name == "ephemeral" {
			s.release(s.acquire(other, name, 1, options.WithEphemeral(true)))
		} else {
			require.NoError(s, other.DeleteSemaphore(s.ctx, name, options.WithForceDelete(true)))
		}
		require.Equal(s, options.SemaphoreWatchEvent{DataChanged: true}, receive(s, data))
		require.Equal(s, options.SemaphoreWatchEvent{OwnersChanged: true}, receive(s, owners))
		require.Equal(s, options.SemaphoreWatchEvent{DataChanged: true, OwnersChanged: true}, receive(s, both))
	}
	s.semaphore(other, "unused", 1)
	watchAll("unused")
	s.semaphore(other, "held", 1)
	s.acquire(other, "held", 1)
	watchAll("held")
	s.acquire(other, "ephemeral", 1, options.WithEphemeral(true))
	watchAll("ephemeral")
}

// S5: a session has one watch per semaphore, and a new one replaces it. A describe without a watch leaves it in place.
func (s *suite) watchReplaced() {
	watcher, other := s.session(), s.session()
	s.semaphore(other, "slots", 5)
	first := s.watch(watcher, "slots", options.WatchData)
	s.describe(watcher, "slots")
	second := s.watch(watcher, "slots", options.WatchOwners)
	require.Equal(s, options.SemaphoreWatchEvent{Lost: true}, receive(s, first))

	stranger := s.watch(s.session(), "slots", options.WatchOwners)
	s.acquire(other, "slots", 1)
	require.Equal(s, options.SemaphoreWatchEvent{OwnersChanged: true}, receive(s, second))
	require.Equal(s, options.SemaphoreWatchEvent{OwnersChanged: true}, receive(s, stranger))
}

// A8: a watch ends with its stream, and with its session.
func (s *suite) watchLost() {
	watcher := s.session()
	s.semaphore(watcher, "slots", 5)
	for _, end := range []func(){
		watcher.Reconnect,
		s.server.DropStreams,
		func() { require.NoError(s, watcher.Close(s.ctx)) },
	} {
		watch := s.watch(watcher, "slots", everything)
		end()
		require.Equal(s, options.SemaphoreWatchEvent{Lost: true}, receive(s, watch))
	}
}

// A handler can set the next watch, so that it sees every change.
func (s *suite) watchFromHandler() {
	watcher, other := s.session(), s.session()
	s.semaphore(other, "slots", 5)
	seen := make(chan string) // the data after each change
	var handle func(options.SemaphoreWatchEvent)
	look := func() {
		d, err := watcher.DescribeSemaphore(s.ctx, "slots", options.WithSemaphoreWatch(options.WatchData, handle))
		if err == nil {
			select {
			case seen <- string(d.Data):
			case <-s.ctx.Done():
			}
		}
	}
	handle = func(e options.SemaphoreWatchEvent) {
		if e.DataChanged {
			look()
		}
	}
	go look()
	require.Empty(s, receive(s, seen))
	for _, data := range []string{"one", "two", "three"} {
		require.NoError(s, other.UpdateSemaphore(s.ctx, "slots", options.WithUpdateData([]byte(data))))
		require.Equal(s, data, receive(s, seen))
	}
}
