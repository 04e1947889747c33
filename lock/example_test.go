package lock_test

import (
	"context"
	"fmt"
	"net"

	"github.com/ydb-platform/ydb-go-sdk/v3"

	"tenure"
	"tenure/lock"
	"tenure/server"
)

// Of the processes that run this program, only one makes a backup at a time. The others wait.
func ExampleDo() {
	dsn, stop := serve() // "tenure serve" has grpc://localhost:2136/local
	defer stop()

	ctx := context.Background()
	db, err := ydb.Open(ctx, dsn)
	if err != nil {
		fmt.Println(err)

		return
	}
	defer func() { _ = db.Close(ctx) }()

	err = lock.Do(ctx, tenure.New(db), "/local/test", "backup", func(ctx context.Context, _ *lock.Held) error {
		for _, table := range []string{"users", "orders"} {
			if ctx.Err() != nil {
				return context.Cause(ctx) // the lock is lost, or the program shuts down
			}
			fmt.Println("backing up", table)
		}

		return nil
	})
	fmt.Println("result:", err)
	// Output:
	// backing up users
	// backing up orders
	// result: <nil>
}

// An observer receives the events of a lock, for example to log them.
func ExampleWithObserver() {
	dsn, stop := serve()
	defer stop()

	ctx := context.Background()
	db, err := ydb.Open(ctx, dsn)
	if err != nil {
		fmt.Println(err)

		return
	}
	defer func() { _ = db.Close(ctx) }()

	observe := func(e lock.Event) {
		switch e := e.(type) {
		case lock.Waiting:
			fmt.Println("waiting")
		case lock.Acquired:
			fmt.Println("acquired")
		case lock.Lost:
			fmt.Println("lost:", e.Cause)
		case lock.Released:
			fmt.Println("released")
		case lock.Retry:
			fmt.Println("trying again in", e.After, "because:", e.Err)
		case lock.NoSession:
			fmt.Println("no session after", e.For, "because:", e.Err)
		}
	}
	work := func(context.Context, *lock.Held) error {
		fmt.Println("working")

		return nil
	}
	if err := lock.Do(ctx, tenure.New(db), "/local/test", "backup", work, lock.WithObserver(observe)); err != nil {
		fmt.Println(err)
	}
	// Output:
	// waiting
	// acquired
	// working
	// released
}

// Each holder's token is greater than those of all earlier holders. A storage that receives the token with each write
// can reject the writes of a holder that has lost the lock and has not noticed yet.
func ExampleHeld_Token() {
	dsn, stop := serve()
	defer stop()

	ctx := context.Background()
	db, err := ydb.Open(ctx, dsn)
	if err != nil {
		fmt.Println(err)

		return
	}
	defer func() { _ = db.Close(ctx) }()

	work := func(_ context.Context, held *lock.Held) error {
		fmt.Println("token:", held.Token())

		return nil
	}
	for range 2 {
		if err := lock.Do(ctx, tenure.New(db), "/local/test", "backup", work); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// token: 1
	// token: 2
}

// serve starts a server that keeps its data in memory.
func serve() (dsn string, stop func()) {
	s, err := server.New()
	if err != nil {
		panic(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	served := make(chan struct{})
	go func() {
		_ = s.Serve(listener)
		close(served)
	}()

	return "grpc://" + listener.Addr().String() + server.DefaultDatabase, func() {
		_ = s.Stop(context.Background())
		<-served
	}
}
