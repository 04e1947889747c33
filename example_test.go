package tenure_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
	"tenure/server"
)

// report is the name of a file that the holders of a lock write in turn. The first line of the file is the fencing
// token of its last writer. A write with a lower token is refused. The check and the write are one atomic step under a
// file lock. Without it, two writers could both pass the check before either of them writes.
type report string

var errFenced = errors.New("a later holder has written the report")

func (r report) write(token uint64, text string) error {
	guard := flock.New(string(r) + ".lock")
	if err := guard.Lock(); err != nil {
		return err
	}
	defer func() { _ = guard.Unlock() }()

	content, err := os.ReadFile(string(r))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var last uint64 // 0 in an empty file: tokens start at 1
	if len(content) > 0 {
		if _, err := fmt.Sscanf(string(content), "%d\n", &last); err != nil {
			return fmt.Errorf("read the last token in %q: %w", string(r), err)
		}
	}
	if token < last {
		return fmt.Errorf("refused token %d, which is older than %d: %w", token, last, errFenced)
	}
	next := string(r) + ".next"
	if err := os.WriteFile(next, fmt.Appendf(nil, "%d\n%s\n", token, text), 0o600); err != nil {
		return err
	}

	return os.Rename(next, string(r))
}

// holder is one of the processes that write the report.
type holder struct {
	session coordination.Session
	lease   *tenure.Lease
	token   uint64
}

func hold(ctx context.Context, c *tenure.Client) (*holder, error) {
	s, err := c.Session(ctx, path)
	if err != nil {
		return nil, err
	}
	l, err := s.AcquireSemaphore(ctx, "report", coordination.Exclusive, options.WithEphemeral(true))
	if err != nil {
		return nil, err
	}
	lease := l.(*tenure.Lease)
	token, err := lease.Token(ctx)

	return &holder{s, lease, token}, err
}

// A fencing token protects storage from a process that has lost its lock without noticing. In this example the first
// holder is suspended between checking its lease and writing, for so long that a second holder gets the lock. The lease
// cannot stop the late write, but the storage can, because each write carries the fencing token of its lock.
func ExampleLease_Token() {
	ctx := context.Background()
	client, stop, err := serve(ctx)
	if err != nil {
		fmt.Println(err)

		return
	}
	defer stop()
	dir, err := os.MkdirTemp("", "report")
	if err != nil {
		fmt.Println(err)

		return
	}
	defer os.RemoveAll(dir)
	file := report(filepath.Join(dir, "report.txt"))

	first, err := hold(ctx, client)
	if err != nil {
		fmt.Println(err)

		return
	}
	fmt.Println("first: valid:", first.lease.Valid())
	// Now the first process is suspended until its session expires. Closing the session has the same effect here.
	_ = first.session.Close(ctx)

	second, err := hold(ctx, client)
	if err != nil {
		fmt.Println(err)

		return
	}
	fmt.Println("second:", file.write(second.token, "written by the second holder"))

	// The first process continues where it was suspended, after it has checked its lease.
	fmt.Println("first:", file.write(first.token, "written by the first holder"))
	content, _ := os.ReadFile(string(file))
	fmt.Printf("%s", content)
	// Output:
	// first: valid: true
	// second: <nil>
	// first: refused token 1, which is older than 2: a later holder has written the report
	// 2
	// written by the second holder
}

// serve starts a server in this process and returns a client of it. Call stop to close both.
func serve(ctx context.Context) (c *tenure.Client, stop func(), err error) {
	srv, err := server.New()
	if err != nil {
		return nil, nil, err
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(lis)
	}()
	if c, err = tenure.Open(ctx, "grpc://"+lis.Addr().String()+server.DefaultDatabase); err == nil {
		err = c.CreateNode(ctx, path, coordination.NodeConfig{})
	}

	return c, func() {
		_ = c.Close(ctx)
		_ = srv.Stop(ctx)
		<-served
	}, err
}
