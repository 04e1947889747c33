package server

import (
	"time"

	"tenure/internal/clock"
)

// A server that has not taken a node is left alone for a pause, which doubles each time. One late answer, as after a
// pause of its machine, costs little. A server that does not work is asked once a minute.
const (
	firstSetback   = 2 * time.Second
	longestSetback = time.Minute
)

// setbacks remembers which servers have not taken a node, by their ids. It is not safe for concurrent use.
type setbacks map[string]setback

type setback struct {
	at    clock.Instant
	pause time.Duration
}

// over reports whether the server may be asked now.
func (s setbacks) over(server string, now clock.Instant) bool {
	last, ok := s[server]

	return !ok || now.Sub(last.at) >= last.pause
}

// failed notes that the server has not taken a node.
func (s setbacks) failed(server string, now clock.Instant) {
	pause := firstSetback
	if last, ok := s[server]; ok {
		pause = min(2*last.pause, longestSetback)
	}
	s[server] = setback{now, pause}
}

// worked notes that the server has taken a node.
func (s setbacks) worked(server string) { delete(s, server) }
