// Package embedded is the server that needs no installation: of the processes of one machine that use a state
// directory, one hosts the server inside itself, and all, that one too, are its clients over a Unix socket.
//
// What is in the directory:
//
//	LOCK, OWNER, ...   the store, see pebblestore; who has its lock is the host
//	socket             the host's, for the protocol
//	status             the host's, for people, see Report
//	lifelines/         a file for each session, see Lifeline
//
// A client that wants a connection dials the socket; if nobody serves there it tries to open the store, and if it can,
// it serves ([Local.Dial]). So a host is replaced by whoever notices first that it is gone, within milliseconds, and
// nobody has to notice who needs nothing. Sessions outlive a host by their timeouts, as they outlive a server.
//
// Rules, which comments and tests cite:
//
//	E1 Only who has the store's lock serves, removes a socket that somebody left, or makes one.
//	E2 A socket is removed before the lock is given up, never after.
//	E3 A client has locked the lifeline of a session before it starts the session, and keeps it locked until nobody
//	   works under the session, and there until the session is over.
//	E4 A session ends before its timeout only if its lifeline's file is there and nobody has it locked.
//	E5 No process id counts for anything: processes of several containers may share the directory.
package embedded
