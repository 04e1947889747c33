// Command report reads the output of the benchmarks and prints the tables of docs/benchmarks.md. The figures are
// medians over all runs, with the minimum and the maximum in parentheses. A table without figures is left out.
//
//	./measure new.txt && go run ./report <new.txt
package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	f, err := parse(os.Stdin)
	if err == nil {
		err = f.tables(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func (f figures) tables(w io.Writer) error {
	p := &printer{w: w}
	f.bounds(p)
	f.peers(p)
	f.logs(p)
	f.handover(p)
	f.memory(p)
	f.startup(p)
	f.lock(p)
	f.takeover(p)
	f.failover(p)
	f.cluster(p)

	return p.err
}
