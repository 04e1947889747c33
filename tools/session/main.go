// Command session records a terminal session of the commands, for the documentation:
//
//	go run ./tools/session docs/session.txt
//
// With -check as the first argument it writes nothing, and fails if the file is not what the commands print today.
// Times, process ids and names of the machine are replaced, so that two recordings are the same.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "session:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	check := len(args) > 0 && args[0] == "-check"
	if check {
		args = args[1:]
	}
	if len(args) != 1 {
		return fmt.Errorf("got %d arguments: pass the file to write, e.g. docs/session.txt", len(args))
	}
	text, err := record(ctx)
	if err != nil {
		return err
	}
	if !check {
		return os.WriteFile(args[0], text, 0o644)
	}
	old, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	if !bytes.Equal(old, text) {
		return fmt.Errorf("%q is not what the commands print today: go run ./tools/session %s\nThey print:\n%s",
			args[0], args[0], text)
	}

	return nil
}
