// Command docs runs what the documents tell their readers to copy:
//
//	go run ./tools/docs [-apart] FILE.md ...
//
// It runs every fenced block of the documents in order, and prints what the commands print. It exits with 0 only if
// each block did what its kind promises:
//
//	sh        runs in bash, and succeeds. A block that calls go runs in a copy of the module, every other one in a
//	          directory of its own. A block that begins with #! is a file: it is installed under the path in its second
//	          line. A block that begins with "go test" is left to the gate.
//	console   each line after "$ " gets a terminal of its own. All of them run at the same time, print something, and
//	          exit with 0 when they get SIGTERM.
//	crontab   each job runs at the same time on three machines: all exit with 0, and exactly one of them prints
//	          something.
//	dockerfile
//	          what ENTRYPOINT and CMD name runs as process 1 of a PID namespace, prints something, reaps orphans, and
//	          exits with 0, or 128 and the signal's number, when it gets STOPSIGNAL.
//	ini       is a systemd unit: systemd-analyze accepts it, and what ExecStart names prints something, and exits with a
//	          code that means success when it gets SIGTERM. With NotifyAccess, it tells systemd that it is ready.
//	go        is a program: it passes vet, prints something, exits with 0 at its end or after SIGINT, and exits with 1
//	          where the embedded server cannot run. A block without a package clause is an excerpt: it is formatted.
//	text      is not run.
//
// A block that names grpc://localhost:2136 without starting a server itself finds one there. The directory
// /usr/local/bin is replaced by one that has the commands, and a stand-in for each program of the reader's own.
//
// A document that installs the Debian package does so in a directory tree that stands in for the reader's machine. From
// then on, /etc, /var and /usr/share are those of the tree, locks.example is this machine, and a stand-in for systemctl
// runs the server as the package's unit says, as a user that is not root. Such a document needs root. TENURE_PACKAGES
// names a directory that has the package; otherwise it is built.
//
// With -apart, the documents get a network namespace of their own, so that several runs can use the same ports at the
// same time. It has the loopback interface only. Where the system does not allow that, the runs take turns.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/gofrs/flock"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	own := flag.Bool("apart", false, "use a network namespace of its own")
	flag.Parse()
	if err := start(ctx, *own, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, own bool, documents []string) error {
	inside, err := entered()
	if err != nil {
		return err
	}
	if own && !inside {
		if done, err := apart(ctx); done || err != nil {
			return err
		}
		turn := flock.New(filepath.Join(os.TempDir(), "tenure-docs.lock"))
		if err := turn.Lock(); err != nil {
			return err
		}
		defer func() { _ = turn.Unlock() }()
	}

	return run(ctx, documents, os.Stdout)
}

func run(ctx context.Context, documents []string, out io.Writer) error {
	var blocks []block
	for _, name := range documents {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		found, err := parse(name, string(text))
		if err != nil {
			return err
		}
		blocks = append(blocks, found...)
	}
	scratch, err := os.MkdirTemp("", "tenure-docs-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	s, err := newStage(ctx, root, scratch, out)
	if err != nil {
		return err
	}
	for _, b := range blocks {
		if b.kind == "text" {
			continue
		}
		fmt.Fprintf(out, "\n-- %s:%d (%s)\n", filepath.Base(b.document), b.line, b.kind)
		if err := s.run(ctx, b); err != nil {
			return errors.Join(fmt.Errorf("%s:%d: the %s block: %w", b.document, b.line, b.kind, err),
				s.machine.leave(context.WithoutCancel(ctx), s))
		}
	}

	return s.machine.leave(ctx, s)
}
