package server

import (
	"maps"
	"time"

	"tenure/internal/clock"
)

// A server that has not taken a node is left alone for a pause, which doubles each time. One late answer, as after a
// pause of its machine, costs little. A server that does not work is asked once a minute.
const (
	firstSetback   = 2 * time.Second
	longestSetback = time.Minute

	// forgottenSetback is the time after which a setback does not count any more. A server that is still there would
	// have been asked again.
	forgottenSetback = 10 * longestSetback
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

// failed notes that the server has not taken a node. It forgets servers that are gone.
func (s setbacks) failed(server string, now clock.Instant) {
	maps.DeleteFunc(s, func(_ string, last setback) bool { return now.Sub(last.at) > forgottenSetback })
	pause := firstSetback
	if last, ok := s[server]; ok {
		pause = min(2*last.pause, longestSetback)
	}
	s[server] = setback{now, pause}
}

// worked notes that the server has taken a node.
func (s setbacks) worked(server string) { delete(s, server) }
