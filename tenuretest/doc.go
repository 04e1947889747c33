// Package tenuretest provides a coordination server for tests, and the faults that a program which uses leases must
// survive. The server runs in the test's process on a free loopback port and keeps its data in memory. It starts in
// milliseconds and needs no cleanup.
//
// A test of a program that loses its lock because its network fails takes milliseconds, with the real protocol and the
// real timeouts:
//
//	func TestBackup_StopsWhenItLosesTheLock(t *testing.T) {
//		srv := tenuretest.NewServer(t)
//		client := srv.Client(t)
//		started, stopped := make(chan struct{}, 1), make(chan error, 1)
//		go lock.Do(t.Context(), client, "/local/app", "backup", func(ctx context.Context, _ *lock.Held) error {
//			started <- struct{}{}
//			err := backup(ctx) // the program
//			stopped <- err
//			return err
//		})
//		<-started
//
//		srv.Partition(client)         // the network fails
//		srv.Advance(20 * time.Second) // twice the default session timeout
//		if err := <-stopped; !errors.Is(err, context.Canceled) {
//			t.Errorf("the backup has not stopped: %v", err)
//		}
//	}
//
// # Faults
//
// Each fault can be caused at any moment, from any goroutine:
//
//   - Expire ends the session that owns a semaphore. Its client loses the lease, and the next waiter gets it.
//     ExpireSessions ends all sessions.
//   - Partition cuts one client off, and Heal reconnects it. The client loses its leases if Heal comes too late.
//   - DropStreams breaks all connections, Restart restarts the server, and Kill with Restart makes it crash. Clients
//     keep their leases if they are back in time.
//
// Holder shows which session owns a semaphore.
//
// # Time
//
// The server and the clients that Client and NewClient return share a clock. It runs as usual, and Advance moves it
// forward: within milliseconds, the server and the clients do everything that they do in that time. Clients that reach
// the server keep their leases during that time.
//
// # Other clients
//
// Any client of the protocol can use the server by its DSN. Such clients have their own clocks and networks, so
// Advance and Partition do not affect them. A test that uses such a client causes faults with Expire, ExpireSessions,
// DropStreams, Kill and Restart. After Expire, the client of ydb-go-sdk reports that its session has ended only when
// the session timeout has passed.
//
// # Without a testing.TB
//
// Use Start and NewClient in examples, in TestMain and in programs. The caller must close what they return.
package tenuretest
