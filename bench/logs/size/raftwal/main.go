// Command raftwal is a program with the log of hashicorp/raft-wal, for BenchmarkSize.
package main

import (
	"fmt"
	"os"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
)

func main() {
	w, err := wal.Open(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stdout, err)

		return
	}
	fmt.Fprintln(os.Stdout, w.GetLog(1, new(raft.Log)), w.StoreLogs([]*raft.Log{{Index: 1}}), w.Close())
}
