// Package bench measures a tenure server from outside, beside what bounds it: a bare gRPC stream of the same messages
// and a bare fdatasync, in the same run and on the same cores.
//
// The server is package server in a process of its own (this test binary, started again), reached over TCP on the
// loopback interface. The load are raw gRPC streams of generated stubs, all over one connection, so that what is
// measured is the server and not a client library. Run it with
//
//	go test -bench . -count 10 -timeout 0 | tee new.txt && go run ./report <new.txt
//
// which prints the tables of docs/benchmarks.md; go tool benchstat compares two such files. With -serverprofile DIR
// there are CPU profiles of the server, one for each benchmark. -short makes everything small: it shows that the
// benchmarks work and measures nothing.
//
// Takeover is another one: its processes share the embedded server. Each kill takes a second, so that it is best run by
// itself, with -bench Takeover -benchtime 100x.
package bench
