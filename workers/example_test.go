package workers_test

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/ydb-platform/ydb-go-sdk/v3"

	"tenure"
	"tenure/server"
	"tenure/workers"
)

// Each process that runs this program serves up to four queues. Only one process serves a queue at a time.
func ExampleRun() {
	dsn, shutdown := serve() // "tenure serve" has grpc://localhost:2136/local
	defer shutdown()

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	db, err := ydb.Open(ctx, dsn)
	if err != nil {
		fmt.Println(err)

		return
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()

	queues := []string{"mail", "push", "sms"}
	var started sync.WaitGroup
	started.Add(len(queues))
	go func() { started.Wait(); stop() }() // a real program stops at an interrupt

	serve := func(ctx context.Context, queue *workers.Task) error {
		fmt.Println("serving", queue.Name(), "with a token:", queue.Token() > 0)
		started.Done()
		<-ctx.Done() // the queue is lost, or the program shuts down

		return nil
	}
	err = workers.Run(ctx, tenure.New(db), "/local/test", workers.Names(queues...), serve)
	fmt.Println("result:", err)
	// Unordered output:
	// serving mail with a token: true
	// serving push with a token: true
	// serving sms with a token: true
	// result: context canceled
}

// A task saves how far it is. Its next run continues there, in whichever process that is.
func ExampleTask_Save() {
	dsn, shutdown := serve()
	defer shutdown()

	db, err := ydb.Open(context.Background(), dsn)
	if err != nil {
		fmt.Println(err)

		return
	}
	defer func() { _ = db.Close(context.Background()) }()

	for range 2 { // two processes, one after the other
		ctx, stop := context.WithCancel(context.Background())
		follow := func(ctx context.Context, shard *workers.Task) error {
			next := 0
			if state := shard.State(); state != nil { // nil in the first run
				if _, err := fmt.Sscan(string(state), &next); err != nil {
					return err
				}
			}
			fmt.Println("handling message", next, "of", shard.Name())
			defer stop() // a real task goes on until ctx ends

			return shard.Save(ctx, fmt.Append(nil, next+1))
		}
		shards := workers.Numbered("shard-", 1)
		err := workers.Run(ctx, tenure.New(db), "/local/test", shards, follow, workers.WithPersistent())
		fmt.Println("result:", err)
		stop()
	}
	// Output:
	// handling message 0 of shard-0
	// result: context canceled
	// handling message 1 of shard-0
	// result: context canceled
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
