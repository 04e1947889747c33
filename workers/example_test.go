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

// Each of the processes that run this serves up to four of the queues; together they serve all, each queue in one
// process.
func ExampleRun() {
	dsn, shutdown := serve() // grpc://localhost:2136/local is that of "tenure serve"
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
	go func() { started.Wait(); stop() }() // in a program, an interrupt stops it

	err = workers.Run(ctx, tenure.New(db), "/local/test", queues, 4, func(ctx context.Context, queue string) error {
		fmt.Println("serving", queue)
		started.Done()
		<-ctx.Done() // the queue is lost, or the program is to stop

		return nil
	})
	fmt.Println("result:", err)
	// Unordered output:
	// serving mail
	// serving push
	// serving sms
	// result: context canceled
}

// serve starts a server in memory.
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
