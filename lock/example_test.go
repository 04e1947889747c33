package lock_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

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
			fmt.Println("waiting behind", e.Ahead, "others and", e.Holders) // nil until the wait takes a moment
		case lock.Acquired:
			fmt.Println("acquired with token", e.Token)
		case lock.Danger:
			fmt.Println("in danger:", e.Cause)
		case lock.Safe:
			fmt.Println("safe again for", e.Remaining)
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
	// waiting behind 0 others and []
	// acquired with token 1
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

// A job that several machines start at the same time runs on one of them. The others find the lock taken and leave.
func ExampleTryAcquire() {
	dsn, stop := serve()
	defer stop()

	ctx := context.Background()
	db, err := ydb.Open(ctx, dsn)
	if err != nil {
		fmt.Println(err)

		return
	}
	defer func() { _ = db.Close(ctx) }()

	for _, machine := range []string{"first", "second"} {
		held, err := lock.TryAcquire(ctx, tenure.New(db), "/local/test", "report", lock.WithData([]byte(machine)))
		if errors.Is(err, lock.ErrBusy) {
			fmt.Println(machine, "leaves:", err)

			continue
		}
		if err != nil {
			fmt.Println(err)

			continue
		}
		fmt.Println(machine, "makes the report with token", held.Token())
		defer func() { _ = held.Release(ctx) }()
	}
	// Output:
	// first makes the report with token 1
	// second leaves: lock "report": the lock is taken: held by first
}

// Requests for the same order wait for each other, whichever machine they reach. A request that waits for too long is
// told to come again. The context of the request limits the work, not the lock: if the client of the request hangs up,
// the work ends, and the lock is free.
func ExampleWithWait() {
	dsn, stop := serve()
	defer stop()

	ctx := context.Background()
	db, err := ydb.Open(ctx, dsn)
	if err != nil {
		fmt.Println(err)

		return
	}
	defer func() { _ = db.Close(ctx) }()

	client, working := tenure.New(db), make(chan struct{})
	pay := func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Minute) // for the wait and the work
		defer cancel()
		err := lock.Do(ctx, client, "/local/test", "order/"+r.PathValue("id"), func(ctx context.Context, _ *lock.Held) error {
			close(working)
			<-ctx.Done() // real work returns when it is done, or when ctx ends

			return nil
		}, lock.WithWait(100*time.Millisecond), lock.WithData([]byte("request 1")))
		switch busy, ok := errors.AsType[*lock.BusyError](err); {
		case err == nil:
			w.WriteHeader(http.StatusNoContent)
		case ok && busy.Err == nil:
			http.Error(w, err.Error(), http.StatusConflict)
		default: // there is no session, the lock was lost, or the work has failed
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders/{id}", pay)
	server := httptest.NewServer(mux)
	defer server.Close()

	post := func(ctx context.Context) {
		request, _ := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/orders/7", nil)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return // the client has hung up
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		fmt.Print(response.Status, ": ", string(body))
	}
	first, hangUp := context.WithCancel(ctx)
	gone := make(chan struct{})
	go func() { defer close(gone); post(first) }()
	<-working
	post(ctx)
	hangUp()
	<-gone
	// Output:
	// 409 Conflict: lock "order/7": not acquired within 100ms: held by request 1
}

// At most three downloads run at a time, on all machines together. A large one counts as two.
func ExampleWithLimit() {
	dsn, stop := serve()
	defer stop()

	ctx := context.Background()
	db, err := ydb.Open(ctx, dsn)
	if err != nil {
		fmt.Println(err)

		return
	}
	defer func() { _ = db.Close(ctx) }()

	begin := func(size uint64) {
		slot, err := lock.TryAcquire(ctx, tenure.New(db), "/local/test", "downloads",
			lock.WithLimit(3), lock.WithCount(size), lock.WithData([]byte("a download")))
		if err != nil {
			fmt.Println(err)

			return
		}
		fmt.Println("begin a download of size", size)
		defer func() { _ = slot.Release(ctx) }() // a real program releases it when the download has ended
		if size > 1 {
			_, err := lock.TryAcquire(ctx, tenure.New(db), "/local/test", "downloads", lock.WithLimit(3), lock.WithCount(size))
			fmt.Println("another one:", err)
		}
	}
	begin(1)
	begin(2)
	// Output:
	// begin a download of size 1
	// begin a download of size 2
	// another one: lock "downloads": the lock is taken: held by a download
}

// One of the processes that run this program leads. When it loses the lock, another one leads.
func ExampleElect() {
	dsn, stop := serve()
	defer stop()

	ctx, shutDown := context.WithCancel(context.Background())
	defer shutDown()
	db, err := ydb.Open(ctx, dsn)
	if err != nil {
		fmt.Println(err)

		return
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()

	lead := func(ctx context.Context, held *lock.Held) error {
		fmt.Println("leading with token", held.Token())
		shutDown() // a real leader works until ctx ends
		<-ctx.Done()

		return nil // not context.Cause(ctx): the shutdown is not an error
	}
	err = lock.Elect(ctx, tenure.New(db), "/local/test", "scheduler", lead)
	fmt.Println("result:", err)
	// Output:
	// leading with token 1
	// result: <nil>
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
