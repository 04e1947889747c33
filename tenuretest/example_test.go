package tenuretest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure"
	"tenure/lock"
	"tenure/tenuretest"
)

// The test of a program that opens its own driver. The server needs no installation.
func ExampleNewServer() { //nolint:testableexamples // it needs the testing.T of a test
	var t *testing.T // of the test

	srv := tenuretest.NewServer(t)
	db, err := ydb.Open(t.Context(), srv.DSN(), ydb.WithAnonymousCredentials())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(t.Context()) }()

	err = db.Coordination().CreateNode(t.Context(), srv.Database()+"/app", coordination.NodeConfig{})
	if err != nil {
		t.Fatal(err)
	}
}

// backup stands for the program under test. It runs until ctx ends. It tells when it gets the lock and when it loses
// it.
func backup(ctx context.Context, client *tenure.Client, name string, started, lost chan<- string) error {
	return lock.Elect(ctx, client, "/local/app", "backup", func(ctx context.Context, _ *lock.Held) error {
		started <- name
		<-ctx.Done()
		if errors.Is(context.Cause(ctx), lock.ErrLost) {
			lost <- name
		}

		return nil
	}, lock.WithTimeout(10*time.Second), lock.WithData([]byte(name)))
}

// run starts two instances of the program, one of which has the lock. The stop function ends both.
func run(srv *tenuretest.Server) (first *tenure.Client, started, lost <-chan string, stop func(), err error) {
	ctx, cancel := context.WithCancel(context.Background())
	running, failed := make(chan string, 4), make(chan string, 4) // so that no instance waits for an example
	var instances sync.WaitGroup
	stop = func() {
		cancel()
		instances.Wait()
	}
	for _, name := range []string{"first", "second"} {
		client, err := srv.NewClient(ctx)
		if err != nil {
			stop()

			return nil, nil, nil, nil, err
		}
		instances.Go(func() { _ = backup(ctx, client, name, running, failed) }) // ends with the error of ctx
		if first == nil {
			first = client
			<-running // the other one waits
		}
	}

	return first, running, failed, stop, nil
}

// A program whose network fails loses its lock, and another instance gets it. The session timeout is 10 s, and the
// example runs in milliseconds.
func ExampleServer_Partition() {
	srv, err := tenuretest.Start()
	if err != nil {
		fmt.Println(err)

		return
	}
	defer srv.Close()
	first, started, lost, stop, err := run(srv)
	if err != nil {
		fmt.Println(err)

		return
	}
	defer stop()

	srv.Partition(first)
	srv.Advance(9 * time.Second)
	holder, _ := srv.Holder("backup")
	fmt.Println("after 9s, the server has granted the lock to:", holder.Data)
	srv.Advance(11 * time.Second)
	fmt.Println(<-lost, "has lost the lock")
	fmt.Println(<-started, "has the lock")
	srv.Heal(first)
	// Output:
	// after 9s, the server has granted the lock to: first
	// first has lost the lock
	// second has the lock
}

// A session ends on the server ahead of its timeout.
func ExampleServer_Expire() {
	srv, err := tenuretest.Start()
	if err != nil {
		fmt.Println(err)

		return
	}
	defer srv.Close()
	client, err := srv.NewClient(context.Background())
	if err != nil {
		fmt.Println(err)

		return
	}

	attempts := 0
	err = lock.Elect(context.Background(), client, "/local/app", "report", func(ctx context.Context, _ *lock.Held) error {
		if attempts++; attempts == 1 {
			fmt.Println("sessions that have ended:", srv.Expire("report"))
			<-ctx.Done()
			fmt.Println(errors.Is(context.Cause(ctx), tenure.ErrSessionExpired))
		}

		return nil
	})
	fmt.Println("attempts:", attempts, "error:", err)
	// Output:
	// sessions that have ended: 1
	// true
	// attempts: 2 error: <nil>
}

// All sessions end, as they do when a server has been away for too long.
func ExampleServer_ExpireSessions() {
	srv, err := tenuretest.Start()
	if err != nil {
		fmt.Println(err)

		return
	}
	defer srv.Close()
	_, started, lost, stop, err := run(srv)
	if err != nil {
		fmt.Println(err)

		return
	}
	defer stop()

	srv.ExpireSessions()
	fmt.Println(<-lost, "has lost the lock")
	<-started // either of them, in a new session
	fmt.Println("an instance has the lock again")
	// Output:
	// first has lost the lock
	// an instance has the lock again
}

// The server tells which session owns a semaphore.
func ExampleServer_Holder() {
	srv, err := tenuretest.Start()
	if err != nil {
		fmt.Println(err)

		return
	}
	defer srv.Close()
	_, _, _, stop, err := run(srv)
	if err != nil {
		fmt.Println(err)

		return
	}
	defer stop()

	holder, held := srv.Holder("backup")
	fmt.Println(held, holder.Data, holder.Token)
	_, held = srv.Holder("another")
	fmt.Println(held)
	// Output:
	// true first 1
	// false
}

// A client that reaches the server keeps its lease, however much time passes.
func ExampleServer_Advance() {
	srv, err := tenuretest.Start()
	if err != nil {
		fmt.Println(err)

		return
	}
	defer srv.Close()
	client, err := srv.NewClient(context.Background())
	if err != nil {
		fmt.Println(err)

		return
	}

	err = lock.Do(context.Background(), client, "/local/app", "report", func(ctx context.Context, _ *lock.Held) error {
		srv.Advance(time.Minute)
		fmt.Println(ctx.Err())

		return nil
	})
	fmt.Println(err)
	// Output:
	// <nil>
	// <nil>
}
