package cli

import (
	"encoding/json"
	"io"
	"strings"
	"time"

	"tenure/internal/clock"
)

// Stamp returns the time for an event in JSON.
func Stamp(c clock.Clock) time.Time { return c.Time(c.Now()).UTC().Truncate(time.Millisecond) }

// JSONLines returns a writer that turns each line of text, "name: message", into a JSON object, an event "message" with
// the time and the message, and writes it to w. It is safe for concurrent use if w is.
func JSONLines(w io.Writer, c clock.Clock) io.Writer { return &jsonLines{w: w, clock: c} }

type jsonLines struct {
	w     io.Writer
	clock clock.Clock
}

func (j *jsonLines) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		_, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		object, err := json.Marshal(struct {
			Event   string    `json:"event"`
			Time    time.Time `json:"time"`
			Message string    `json:"message"`
		}{"message", Stamp(j.clock), text})
		if err != nil {
			return 0, err
		}
		if _, err := j.w.Write(append(object, '\n')); err != nil {
			return 0, err
		}
	}

	return len(p), nil
}
