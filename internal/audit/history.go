package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// Interval is the time for which a session has held a semaphore, or a part of it.
type Interval struct {
	Event                // the grant. Its time is zero if the grant is older than the log
	Until      time.Time // zero: the grant has not ended
	Cause      string    // of the end; empty: it has not ended
	Overlaps   []uint64  // tokens of grants that were in force when this one began
	Excess     bool      // the counts of these and of this grant together were above the limit: two holders
	Unfinished bool      // the server has started again since, and the log does not say how the grant ended
}

// History is what the log knows about a semaphore.
type History struct {
	Intervals []Interval // in the order of the log
	Skipped   int        // lines that are not events, for example because the disk was full
	Repeated  int        // lines about the semaphore that are in the log twice, as if a file was copied; they count once
	Missing   uint64     // tokens of the semaphore's nodes that the log skips; the semaphore may have had them
	From, To  time.Time  // of the first and the last event in the log, about whatever; zero: it is empty
}

// TwoHolders returns the intervals that began while others were in force and left no room for them. If there is none
// and no event is missing in the log, there were never more holders than the limit allows.
func (h *History) TwoHolders() (found []Interval) {
	for _, i := range h.Intervals {
		if i.Excess {
			found = append(found, i)
		}
	}

	return found
}

// ReadHistory reads the file of a log, and the older ones that it has left, and returns what they say about a
// semaphore. If node is empty, it may be in any node: a semaphore of the same name in another node is another one.
func ReadHistory(path, node, semaphore string) (*History, error) {
	r := reader{
		history: &History{}, node: node, semaphore: semaphore, open: make(map[string][]int), tokens: make(map[holding]int),
		lines: make(map[lineHash]struct{}), nodes: make(map[string]*tokens),
	}
	for i := keep - 1; i >= 0; i-- {
		err := r.file(Rotated(path, i))
		if err != nil && (i == 0 || !errors.Is(err, fs.ErrNotExist)) {
			return nil, err
		}
	}

	for _, i := range r.history.Intervals {
		if t := r.nodes[i.Node]; t != nil {
			r.history.Missing += t.missing
			delete(r.nodes, i.Node)
		}
	}

	return r.history, nil
}

// holding identifies a grant. A token is used once in a node.
type holding struct {
	node  string
	token uint64
}

// reader collects the intervals of a semaphore.
type reader struct {
	history         *History
	node, semaphore string
	open            map[string][]int // indexes of the intervals that have not ended, by node
	tokens          map[holding]int  // the same
	lines           map[lineHash]struct{}
	nodes           map[string]*tokens
}

// lineHash identifies a line.
type lineHash [16]byte

// tokens says which tokens of a node the log has skipped. The tokens of a node count all requests for its semaphores,
// and the first line with a token is about a request that has just arrived, so new tokens come in order.
type tokens struct{ highest, missing uint64 }

func (t *tokens) add(token uint64) {
	if t.highest > 0 && token > t.highest {
		t.missing += token - t.highest - 1
	}
	t.highest = max(t.highest, token)
}

// lineLimit is the limit of a line in bytes. The texts of an event take less, also as JSON.
const lineLimit = 1 << 20

func (r *reader) file(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewReaderSize(f, lineLimit)
	for {
		line, err := lines.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		switch {
		case long:
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = lines.ReadSlice('\n')
			}
			r.history.Skipped++
		case len(bytes.TrimSpace(line)) > 0:
			r.line(line)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *reader) line(line []byte) {
	var e Event
	if json.Unmarshal(line, &e) != nil {
		r.history.Skipped++

		return
	}
	if r.node == "" || e.Node == "" || e.Node == r.node {
		if r.repeated(e, bytes.TrimSpace(line)) {
			return
		}
	}
	r.event(e)
}

// repeated reports whether the same line was in the log before. Lines about other semaphores are not remembered.
func (r *reader) repeated(e Event, line []byte) bool {
	if e.Kind != Start && e.Kind != NodeDrop && e.Semaphore != r.semaphore {
		return false
	}
	sum := sha256.Sum256(line)
	hash := lineHash(sum[:len(lineHash{})])
	if _, again := r.lines[hash]; again {
		r.history.Repeated++

		return true
	}
	r.lines[hash] = struct{}{}

	return false
}

func (r *reader) event(e Event) {
	if r.history.From.IsZero() {
		r.history.From = e.Time
	}
	r.history.To = e.Time
	if e.Kind == Start {
		for _, open := range r.open {
			for _, i := range open {
				r.history.Intervals[i].Unfinished = true
			}
		}

		return
	}
	if r.node != "" && e.Node != r.node {
		return
	}
	if e.Token > 0 && e.Kind != SessionEnd {
		t := r.nodes[e.Node]
		if t == nil {
			t = new(tokens)
			r.nodes[e.Node] = t
		}
		t.add(e.Token)
	}
	if e.Kind == NodeDrop {
		if t := r.nodes[e.Node]; t != nil {
			t.highest = 0 // the tokens of a new node at the same path start again
		}
		for _, i := range r.open[e.Node] {
			r.end(i, e.Time, "dropped")
		}
		r.open[e.Node] = nil

		return
	}
	if e.Semaphore != r.semaphore {
		return
	}
	switch e.Kind {
	case Grant:
		r.grant(e)
	case Shrink:
		if i, ok := r.tokens[holding{e.Node, e.Token}]; ok {
			r.history.Intervals[i].Count = e.Count
		}
	case End:
		key := holding{e.Node, e.Token}
		i, ok := r.tokens[key]
		if !ok { // the grant is older than the log
			first := e
			first.Kind, first.Time = Grant, time.Time{}
			r.history.Intervals = append(r.history.Intervals, Interval{Event: first, Until: e.Time, Cause: e.Reason})

			return
		}
		r.end(i, e.Time, e.Reason)
		open := r.open[e.Node]
		for at, other := range open {
			if other == i {
				r.open[e.Node] = append(open[:at:at], open[at+1:]...)
			}
		}
	case Wait, GiveUp, Deleted, Denied, Login, NodeCreate, NodeDrop, SessionEnd, Backup, Start:
	}
}

// grant adds an interval, and compares it with those that are in force.
func (r *reader) grant(e Event) {
	next := Interval{Event: e}
	limit := e.Limit
	if limit == 0 {
		limit = 1<<64 - 1
	}
	room := limit
	for _, i := range r.open[e.Node] {
		other := &r.history.Intervals[i]
		next.Overlaps = append(next.Overlaps, other.Token)
		room -= min(room, other.Count)
	}
	next.Excess = e.Count > room
	index := len(r.history.Intervals)
	r.history.Intervals = append(r.history.Intervals, next)
	r.open[e.Node] = append(r.open[e.Node], index)
	r.tokens[holding{e.Node, e.Token}] = index
}

func (r *reader) end(i int, at time.Time, cause string) {
	interval := &r.history.Intervals[i]
	interval.Until, interval.Cause, interval.Unfinished = at, cause, false
	delete(r.tokens, holding{interval.Node, interval.Token})
}
