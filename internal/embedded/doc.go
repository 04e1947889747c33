// Package embedded implements the server that needs no installation. Of the processes on a machine that use the same
// state directory, one hosts the server inside itself. All of them, including the host, are clients of the server and
// connect to it over a Unix socket.
//
// The state directory contains:
//
//	LOCK, OWNER, ...   the store (see pebblestore); the process that holds its lock is the host
//	socket             the host's socket for the protocol
//	status             the host's socket for status reports (see Report)
//	lifelines/         one file per session (see Lifeline)
//
// A client connects by dialling the socket. If no process serves there, the client tries to open the store and then
// serves itself (see [Local.Dial]). So when a host is gone, the first client that notices replaces it within
// milliseconds. A client that needs no connection has nothing to do. As with a separate server, sessions survive the
// loss of the host for the length of their timeouts.
//
// Comments and tests refer to these rules by number:
//
//	E1 Only the process that holds the store's lock may serve, create a socket, or remove a left-over one.
//	E2 The host removes its sockets before it releases the store's lock, never after.
//	E3 A client locks the lifeline of a session before it starts the session. It keeps the lifeline locked until no
//	   process works under the session, and keeps the file in place until the session has ended.
//	E4 A session ends before its timeout only if the file of its lifeline exists and no process has it locked.
//	E5 Process ids never decide anything, because processes in different containers may share the directory.
package embedded
