// Package logs compares logs in which a server could keep its records. Each log gets the same batches, those that a
// hand-over followed by an acquire writes, and makes each batch durable before it acknowledges the batch.
//
//	go test -bench . -timeout 0 | tee logs.txt && go run ../report <logs.txt
//
// BenchmarkCommit commits from several goroutines, BenchmarkOpen opens a log after its process was killed, and
// BenchmarkSize builds a program with each log. The logs are those of package logstore, of Pebble, of etcd and of
// hashicorp/raft-wal. "raw" only writes and syncs a preallocated file. Logs without a group commit, and raw, get the
// simplest fair one (see group).
package logs
