// Package paced writes answers over HTTP that may be large. A client that does not read, or reads too slowly, loses its
// answer, so that it does not keep memory of the server for ever.
package paced

import (
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"tenure/internal/clock"
)

// Piece is the size of the pieces in which a Writer writes, in bytes.
const Piece = 64 << 10

const (
	stallLimit = 30 * time.Second // the time in which a client must take a piece of an answer
	slowRate   = 64 << 10         // bytes a second that a client must take on average, after slowGrace
	slowGrace  = 30 * time.Second
)

// ErrSlow reports a client that reads too slowly.
var ErrSlow = errors.New("the client reads too slowly")

// Writer gives each write its own time limit, instead of one for the whole answer, and ends an answer that the client
// takes too slowly. After an error, the client has got a part of the answer.
type Writer struct {
	http.ResponseWriter

	Written int64 // in bytes

	control *http.ResponseController
	clock   clock.Clock
	began   clock.Instant

	mu    sync.Mutex // guards ended, and makes sure that no time limit is set after it
	ended error
}

// New also lifts the time limit of the request, which would end the context of a long answer.
func New(w http.ResponseWriter, clk clock.Clock) *Writer {
	p := &Writer{ResponseWriter: w, control: http.NewResponseController(w), clock: clk, began: clk.Now()}
	_ = p.control.SetReadDeadline(time.Time{})

	return p
}

// Write implements io.Writer.
func (p *Writer) Write(b []byte) (int, error) {
	total := 0
	for part := range slices.Chunk(b, Piece) {
		now := p.clock.Now()
		if took := now.Sub(p.began); took > slowGrace && float64(p.Written) < slowRate*took.Seconds() {
			return total, ErrSlow
		}
		if err := p.allow(p.clock.Time(now).Add(stallLimit)); err != nil {
			return total, err
		}
		n, err := p.ResponseWriter.Write(part)
		p.Written += int64(n)
		total += n
		if err != nil {
			return total, err
		}
	}

	return total, nil
}

// allow sets the time limit of the next write. It returns the error that End was called with.
func (p *Writer) allow(until time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended != nil {
		return p.ended
	}

	return p.control.SetWriteDeadline(until)
}

// End makes the write that is in progress fail, and all later ones. It may be called while Write runs.
func (p *Writer) End(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = err
	_ = p.control.SetWriteDeadline(time.Unix(1, 0)) // it has passed
}
