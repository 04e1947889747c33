// Command etcdwal is a program with the log of etcd, for BenchmarkSize.
package main

import (
	"fmt"
	"os"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
)

func main() {
	_, err := wal.Create(nil, os.Args[1], nil)
	fmt.Fprintln(os.Stdout, err)
	w, err := wal.Open(nil, os.Args[1], &walpb.Snapshot{})
	if err != nil {
		fmt.Fprintln(os.Stdout, err)

		return
	}
	_, _, entries, err := w.ReadAll()
	fmt.Fprintln(os.Stdout, len(entries), err, w.Save(&raftpb.HardState{}, []*raftpb.Entry{{}}), w.Close())
}
