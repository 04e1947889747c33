package serverconfig

import "time"

// Limits bound what the clients of a server can use, so that none of them can take the server away from the others. A
// field that is zero means its default. A negative one is an error.
type Limits struct {
	// Connections is the number of connections that may be open at the same time. When it is reached, a new connection
	// takes the place of one without a session. If there is none, the new one is closed. The default is 10,000, or as
	// many as the limit of open files allows, if that is fewer.
	Connections int

	// ConnectionsPerAddress is the number of these connections that may come from one address, or from one IPv6 network
	// of 64 bits. Connections from the same machine are not counted. The default is half of Connections.
	ConnectionsPerAddress int

	// Streams is the number of calls that the server serves at the same time. Nearly all of them are sessions. The
	// default is 20,000.
	Streams int

	// StreamsPerConnection is the number of calls that one connection may have open at the same time. The default is
	// 10,000.
	StreamsPerConnection int

	// CallRate is the number of calls that one connection may begin in a second, and the number that it may reset soon
	// after it has begun them. It may begin those of two seconds at the same time. The default is 2,000.
	CallRate int

	// RequestRate is the number of requests in a second that the server accepts from all clients together. Releases and
	// the ends of sessions are not refused. The default is 200,000.
	RequestRate int

	// AttachRate is the number of new sessions in a second that the server accepts from all clients together. Those of ten
	// seconds may begin at the same time. The default is 2,000.
	AttachRate int

	// TotalSessions is the number of sessions in all nodes together. The default is 1,000,000.
	TotalSessions int

	// FrameRate is the number of HTTP/2 frames in a second with which one connection may send no request, such as PING,
	// WINDOW_UPDATE and empty DATA. The default is 10,000.
	FrameRate int

	// PingRate is the number of pings that the server may have to send in a second for sessions with timeouts below 3
	// seconds. The default is 5,000.
	PingRate int

	// UnfinishedBytes bounds messages of which only a part has arrived, in bytes, for all connections together. One
	// connection may use a quarter of it. The default is 64 MiB.
	UnfinishedBytes int

	// HeaderBytes is the size of the headers of a call. The default is 8 KiB.
	HeaderBytes int

	// Nodes is the number of coordination nodes and directories. The default is 10,000.
	Nodes int

	// Sessions and Semaphores are the numbers of sessions and semaphores in one node. The default is 1,000,000 each, which
	// is also the highest value.
	Sessions, Semaphores int

	// Waiters is the number of sessions that may wait for one semaphore. The default is 10,000.
	Waiters int

	// NodeBytes bounds the names and the data of all semaphores, owners and waiters in one node, in bytes. The default is
	// 64 MiB.
	NodeBytes int

	// Memory bounds what all nodes take in memory, in bytes, as estimated by the server. A request that needs more is
	// refused, and so is an attach to a node that is not loaded and is too large. The process needs about twice as much.
	// The default is 512 MiB.
	Memory int

	// StartTimeout is the time in which a connection must finish its handshake, a stream must ask for a session, and a
	// message must arrive completely. The default is 10 seconds.
	StartTimeout time.Duration

	// IdleTimeout is the time after which a connection without calls is closed. The client is told first, so that no
	// call is lost. The default is 10 minutes.
	IdleTimeout time.Duration
}
