// Package server provides an embeddable coordination server. It serves YDB's Coordination, Discovery and Scheme gRPC
// services, and keeps its coordination nodes in memory or in a directory.
//
// The server sends a reply only when everything that the reply says, or lets a client infer, survives a crash of the
// process, and with a data directory also a crash of the machine. Sessions outlive streams and restarts for as long as
// their timeouts. A client that is slow or silent loses its stream, and no other client waits for it.
//
// A client that was granted a semaphore may have lost it by the time it acts: its network may fail, or its process may
// be stopped. The client itself must stop in time, as that of package tenure does, and send a fencing token with its
// writes. See docs/safety.md. The server's behaviour is specified in docs/protocol.md.
package server
