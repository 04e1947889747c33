// Package bench measures tenure from outside, beside its peers. In the same run and on the same cores it also measures
// two bounds: a bare gRPC stream that carries the same messages, and a bare fdatasync.
//
//	./measure new.txt && go run ./report <new.txt
//
// This runs the benchmarks in rounds and prints the tables of docs/benchmarks.md. Use go tool benchstat to compare two
// such files. With -short, everything is small and needs no peers: such a run shows that the benchmarks work, but its
// figures mean nothing. Package logs, below this one, compares logs.
//
// BenchmarkPeers compares locks per second. Each server is a process: tenure serve, redis-server, etcd (built from its
// module), ZooKeeper, or a server of bare gRPC streams. The clients are another process, which uses the peer's usual
// client in Go. Peers that are not installed are skipped with a message, which -v shows.
//
// BenchmarkClusterPairs, BenchmarkClusterHandover and BenchmarkClusterMemory use three servers of tenure over three
// members of etcd, beside etcd's own locks:
//
//	./measure-cluster new.txt && go run ./report <new.txt
//
// TENURE_ETCD_PROGRAM names the program of etcd. Without it, they build etcd, and are skipped with -short.
//
// BenchmarkHandover and BenchmarkMemory use raw gRPC streams over one connection, so that no client library is
// measured, and package server in a process of this test binary. With -profiles DIR, each server process of this kind
// writes a CPU profile to DIR. BenchmarkPeers then uses such processes too, with one profile for each peer, and one of
// the clients for each number of them:
//
//	go test -run xxx -bench Peers/peer=tenure$/clients=16 -benchtime 10x -profiles /tmp
//
// BenchmarkRestart kills tenure serve while 4,000 sessions hold locks, and measures how long they are without an
// answer:
//
//	go test -run xxx -bench Restart -benchtime 10x
//
// In BenchmarkTakeover, processes share the embedded server. It needs more than a second for each kill. So does
// BenchmarkFailover, which kills commands that use tenure serve. With -etcd ADDRESS and -zookeeper ADDRESS it also
// measures those, with servers that are running already. A kill takes them a session timeout, so run it with a smaller
// -benchtime:
//
//	go test -run xxx -bench Takeover -benchtime 100x -timeout 0
//	go test -run xxx -bench Failover -benchtime 100x -timeout 0
//	go test -run xxx -bench Failover/tool=etcd -benchtime 10x -timeout 0 -etcd 127.0.0.1:2379
package bench
