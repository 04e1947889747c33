// Package bench measures a tenure server from outside. In the same run and on the same cores it also measures two
// bounds: a bare gRPC stream that carries the same messages, and a bare fdatasync.
//
// The server is package server in a separate process (this test binary, started again), which listens on TCP on the
// loopback interface. The load consists of raw gRPC streams over one connection, written with the generated stubs, so
// that the result does not depend on a client library. Run the benchmarks with
//
//	go test -bench . -count 10 -timeout 0 | tee new.txt && go run ./report <new.txt
//
// This prints the tables of docs/benchmarks.md. Use go tool benchstat to compare two such files. With -serverprofile
// DIR, each benchmark writes a CPU profile of the server to DIR. With -short, everything is small: such a run shows
// that the benchmarks work, but its figures mean nothing.
//
// BenchmarkTakeover is different: its processes share the embedded server. It needs more than a second for each kill,
// so run it separately, with -bench Takeover -benchtime 100x.
//
// BenchmarkFailover does the same with the commands lock and tenure serve, and needs as long for each kill. With -etcd
// ADDRESS and -zookeeper ADDRESS it also measures those, with servers that are running already. A kill takes them a
// session timeout, so run it with a smaller -benchtime:
//
//	go test -run xxx -bench Failover -benchtime 100x -timeout 0
//	go test -run xxx -bench Failover/tool=etcd -benchtime 10x -timeout 0 -etcd 127.0.0.1:2379
package bench
