// Command ours is a program with the log of package logstore, for BenchmarkSize.
package main

import (
	"context"
	"fmt"
	"os"

	"tenure/internal/store"
	"tenure/internal/store/logstore"
)

func main() {
	s, err := logstore.Open(os.Args[1], logstore.Options{})
	if err != nil {
		fmt.Fprintln(os.Stdout, err)

		return
	}
	for r, err := range s.Load(context.Background(), 1) {
		fmt.Fprintln(os.Stdout, r, err)
	}
	fmt.Fprintln(os.Stdout, s.Commit(context.Background(), store.Batch{Space: 1}), s.Close())
}
