package httpd

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"tenure/internal/clock"
)

const (
	stallLimit = 30 * time.Second // the time in which a client must take a piece of an answer
	piece      = 64 << 10         // the size of such a piece, in bytes
	slowRate   = 64 << 10         // bytes a second that a client must take on average, after slowGrace
	slowGrace  = 30 * time.Second
)

var errSlow = errors.New("the client reads too slowly")

// paced gives each write its own time limit, instead of one for the whole answer, and ends an answer that the client
// takes too slowly.
type paced struct {
	http.ResponseWriter

	control *http.ResponseController
	clock   clock.Clock
	began   clock.Instant
	written int64
}

// newPaced also lifts the time limit of the request, which would end the context of a long answer.
func newPaced(w http.ResponseWriter, clk clock.Clock) *paced {
	p := &paced{ResponseWriter: w, control: http.NewResponseController(w), clock: clk, began: clk.Now()}
	_ = p.control.SetReadDeadline(time.Time{})

	return p
}

// Write implements io.Writer.
func (p *paced) Write(b []byte) (int, error) {
	total := 0
	for part := range slices.Chunk(b, piece) {
		now := p.clock.Now()
		if took := now.Sub(p.began); took > slowGrace && float64(p.written) < slowRate*took.Seconds() {
			return total, errSlow
		}
		if err := p.control.SetWriteDeadline(p.clock.Time(now).Add(stallLimit)); err != nil {
			return total, err
		}
		n, err := p.ResponseWriter.Write(part)
		p.written += int64(n)
		total += n
		if err != nil {
			return total, err
		}
	}

	return total, nil
}
