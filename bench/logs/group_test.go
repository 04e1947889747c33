package logs

import "sync"

// group is the simplest fair group commit for a log without one: one goroutine at a time appends the entries of all
// goroutines that wait, and syncs once.
type group struct {
	append func(entries [][]byte) error // appends the entries and syncs; never called concurrently

	turn sync.Mutex // held by the goroutine that appends

	mu   sync.Mutex
	next *round // the entries that no goroutine has taken yet; nil if there are none
}

// round is a set of entries that share a sync.
type round struct {
	entries [][]byte
	done    chan struct{} // closed when err is set
	err     error
}

func (g *group) commit(entry []byte) error {
	g.mu.Lock()
	r, first := g.next, g.next == nil
	if first {
		r = &round{done: make(chan struct{})}
		g.next = r
	}
	r.entries = append(r.entries, entry)
	g.mu.Unlock()
	if !first {
		<-r.done

		return r.err
	}
	g.turn.Lock()
	g.mu.Lock()
	g.next = nil
	g.mu.Unlock()
	r.err = g.append(r.entries)
	g.turn.Unlock()
	close(r.done)

	return r.err
}
