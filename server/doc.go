// Package server is an embeddable coordination server: it serves YDB's Coordination, Discovery and Scheme gRPC services
// over coordination nodes of its own, kept in memory or in a directory.
//
// It promises that a reply is sent only after everything that it says, or lets one infer, survives a crash of process
// and machine (with a data directory); that sessions outlive streams and restarts, by their timeout; and that a client
// that is slow or silent loses its stream without anybody else waiting for it. The rules it follows, by number, are in
// docs/protocol.md.
//
// It does not promise that a client which was told that it holds a semaphore still does when it acts on that: see
// docs/protocol.md, C1.
package server
