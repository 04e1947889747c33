package server

// Limits returns how often each limit has refused something.
func (s *Server) Limits() map[string]uint64 {
	all := make(map[string]uint64)
	s.counts.limits.each(func(limit string, n uint64) { all[limit] = n })

	return all
}
