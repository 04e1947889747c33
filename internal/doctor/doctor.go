// Package doctor looks for what keeps locks from working: on the way to a server, in its answers, and on this machine.
// Each check says what it has found, and what to do about it.
package doctor

import (
	"fmt"
	"strings"

	"tenure/internal/ydberr"
)

// A Result is the result of a check.
type Result string

// The results. Warn means that locks work, but less well than they could, or not for long.
const (
	OK   Result = "ok"
	Warn Result = "warn"
	Bad  Result = "bad"
)

// A Line is what a check has found. Its JSON form is stable: later versions may add fields and checks.
type Line struct {
	Check  string `json:"check"`
	Result Result `json:"result"`
	Found  string `json:"found"`
	Do     string `json:"do,omitempty"` // empty if there is nothing to do
}

// A Report passes lines on, and remembers the worst result.
type Report struct {
	Print func(Line)

	worst Result
}

// Add passes lines on.
func (r *Report) Add(lines ...Line) {
	for _, l := range lines {
		if l.Result == Bad || l.Result == Warn && r.worst != Bad {
			r.worst = l.Result
		}
		r.Print(l)
	}
}

// Code returns the exit code for the worst result: 0 for OK, 1 for Warn, 2 for Bad.
func (r *Report) Code() int {
	return map[Result]int{Warn: 1, Bad: 2}[r.worst]
}

func ok(check, format string, args ...any) Line {
	return Line{Check: check, Result: OK, Found: fmt.Sprintf(format, args...)}
}

// Failed returns the line for an error whose text ends with a colon and what to do, as the errors of this project do.
func Failed(check string, err error) Line {
	text := err.Error()
	if _, hasStatus := err.(interface{ GRPCStatus() any }); hasStatus {
		text = ydberr.Text(err)
	}
	l := Line{Check: check, Result: Bad, Found: text}
	if i := strings.LastIndex(text, ": "); i >= 0 {
		l.Found, l.Do = text[:i], text[i+2:]
	}

	return l
}
