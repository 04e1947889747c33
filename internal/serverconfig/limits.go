package serverconfig

import "time"

// Limits are those of package server, which describes them. It has the same fields in the same order.
type Limits struct {
	Connections           int
	ConnectionsPerAddress int
	Streams               int
	StreamsPerConnection  int
	CallRate              int
	RequestRate           int
	AttachRate            int
	TotalSessions         int
	FrameRate             int
	PingRate              int
	UnfinishedBytes       int
	HeaderBytes           int
	Nodes                 int
	Sessions, Semaphores  int
	Waiters               int
	NodeBytes             int
	Memory                int
	StartTimeout          time.Duration
	IdleTimeout           time.Duration
}
