// Command pebble is a program with Pebble, for BenchmarkSize.
package main

import (
	"fmt"
	"os"

	"github.com/cockroachdb/pebble/v2"
)

func main() {
	p, err := pebble.Open(os.Args[1], &pebble.Options{})
	if err != nil {
		fmt.Fprintln(os.Stdout, err)

		return
	}
	iter, err := p.NewIter(nil)
	fmt.Fprintln(os.Stdout, err, iter.First(), iter.Close())
	b := p.NewBatch()
	fmt.Fprintln(os.Stdout, b.Set([]byte("key"), nil, nil), b.Commit(pebble.Sync), p.Close())
}
