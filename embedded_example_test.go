package tenure_test

import (
	"context"
	"fmt"
	"os"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
)

// The embedded server needs no installation and no separate process. One of the processes that use the state directory
// hosts the server, and when it exits, another one takes over without losing a lock. The two clients of this example
// could just as well run in two processes.
func ExampleOpen_embedded() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "state") // without WithDir, all processes of a user share one directory
	if err != nil {
		fmt.Println(err)

		return
	}
	defer os.RemoveAll(dir)

	one, err := tenure.Open(ctx, tenure.Embedded, tenure.WithDir(dir)) // no process hosts the server yet, so this one does
	if err != nil {
		fmt.Println(err)

		return
	}
	other, err := tenure.Open(ctx, tenure.Embedded, tenure.WithDir(dir))
	if err != nil {
		fmt.Println(err)

		return
	}
	defer other.Close(ctx)

	const path = tenure.EmbeddedDatabase + "/jobs"
	if err := other.CreateNode(ctx, path, coordination.NodeConfig{}); err != nil {
		fmt.Println(err)

		return
	}
	session, err := other.Session(ctx, path)
	if err != nil {
		fmt.Println(err)

		return
	}
	lease, err := session.AcquireSemaphore(ctx, "nightly", coordination.Exclusive, options.WithEphemeral(true))
	if err != nil {
		fmt.Println(err)

		return
	}
	fmt.Println("the lock is held")
	if err := one.Close(ctx); err != nil { // from now on, the other client hosts the server
		fmt.Println(err)
	}
	_, err = session.DescribeSemaphore(ctx, "nightly")
	fmt.Println("the host is gone:", err)
	fmt.Println("the lock is still held:", lease.Context().Err() == nil)
	fmt.Println("released:", lease.Release())
	// Output:
	// the lock is held
	// the host is gone: <nil>
	// the lock is still held: true
	// released: <nil>
}
