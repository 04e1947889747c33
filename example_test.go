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

// report is a file that each holder of a lock writes in turn. Its first line is the fencing token of its last writer,
// and it takes nothing from one with a lower token. The check and the write are one step, under a lock of the
// file's own; without that, two writers could pass the check together.
type report string

var errFenced = errors.New("a later holder has written")

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
		return fmt.Errorf("write with token %d, the last was %d: %w", token, last, errFenced)
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

// The first holder is suspended between its check and its write, for so long that the lock goes to a second one. The
// lease could not have stopped that write. What is written to can, because it is shown the fencing token.
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
	// Here the process is suspended. Its session ends, for which Close stands:
	_ = first.session.Close(ctx)

	second, err := hold(ctx, client)
	if err != nil {
		fmt.Println(err)

		return
	}
	fmt.Println("second:", file.write(second.token, "written by the second holder"))

	// Now it goes on where it was: behind the check.
	fmt.Println("first:", file.write(first.token, "written by the first holder"))
	content, _ := os.ReadFile(string(file))
	fmt.Printf("%s", content)
	// Output:
	// first: valid: true
	// second: <nil>
	// first: write with token 1, the last was 2: a later holder has written
	// 2
	// written by the second holder
}

// serve starts a server in this process and opens a client of it.
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
