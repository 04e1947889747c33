package workerscmd

import (
	"fmt"
	"strings"
	"time"
)

// A progress counts the tasks of --once by state.
type progress struct {
	Done    int `json:"done"`
	Running int `json:"running"`
	Waiting int `json:"waiting"`
	Failed  int `json:"failed"` // for good
}

// total returns the number of tasks.
func (p progress) total() int { return p.Done + p.Running + p.Waiting + p.Failed }

// line returns the progress as text.
func (p progress) line() string {
	return fmt.Sprintf("%d of %d done, %d running, %d waiting, %d failed", p.Done, p.total(), p.Running, p.Waiting,
		p.Failed)
}

// barWidth is the number of characters of a bar between its ends.
const barWidth = 30

// bar returns the progress as text with a bar: # for tasks that are done, ! for those that have failed, and > for those
// that run.
func (p progress) bar() string {
	total := max(1, p.total())
	var b strings.Builder
	b.WriteByte('[')
	sum := 0
	for _, part := range []struct {
		n    int
		sign string
	}{{p.Done, "#"}, {p.Failed, "!"}, {p.Running, ">"}} {
		before := sum * barWidth / total
		sum += part.n
		b.WriteString(strings.Repeat(part.sign, sum*barWidth/total-before))
	}
	b.WriteString(strings.Repeat(".", barWidth-sum*barWidth/total))
	b.WriteString("] " + p.line())

	return b.String()
}

// progressPause is the time between two lines of progress that do not go to a terminal.
const progressPause = 10 * time.Second

// showProgress shows the progress of --once: as a bar on a terminal, and elsewhere as a line now and then, and at the
// end.
func (w *worker) showProgress(end bool) {
	if !w.once {
		return
	}
	p := w.state.progress()
	if w.screen.w != nil && !end {
		w.screen.show(p.bar())

		return
	}
	now := w.clock.Now()
	if !end && w.progressDue == 0 {
		w.progressDue = now.Add(progressPause)
	}
	if !end && now < w.progressDue {
		return
	}
	w.progressDue = now.Add(progressPause)
	w.screen.show("")
	w.report(event{Event: "progress", Progress: &p}, p.line())
}
