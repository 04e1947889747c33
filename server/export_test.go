package server

import "github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"

// ServeSession serves a stream as CoordinationService does.
func (s *Server) ServeSession(g Ydb_Coordination_V1.CoordinationService_SessionServer) error {
	return (&coordinationService{server: s}).Session(g)
}

// Limits returns how often each limit has refused something.
func (s *Server) Limits() map[string]uint64 {
	return s.counts.limits.all()
}

// AnswerBytes returns the bytes of the large answers in memory, after adding to them.
func (s *Server) AnswerBytes(add int64) int64 { return s.nodes.env.answers.bytes.Add(add) }

// TransitBytes returns the bytes of the large messages that the server passes on to others, after adding to them.
func (s *Server) TransitBytes(add int64) int64 { return s.front.transit.bytes.Add(add) }

// Cut makes the server refuse connections, as one does that has died.
func (s *Server) Cut() { s.cut() }

// Peers returns the addresses of the servers to which this one is connected.
func (s *Server) Peers() []string { return s.front.pool.Addresses() }
