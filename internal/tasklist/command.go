package tasklist

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// commandLimit is the time limit for the program that prints the list.
const commandLimit = time.Minute

// Command returns the list of tasks that a shell prints for the command line, as [Parse] reads it. The shell runs again
// whenever refresh has passed since the last time. The name stands for the list in messages.
func Command(name, line string, refresh time.Duration, opts ...Option) *Watched {
	return newWatched(&program{title: name, line: line, limit: commandLimit}, refresh, opts)
}

// A program is a source.
type program struct {
	title string
	line  string
	limit time.Duration
}

func (p *program) name() string { return p.title }

func (p *program) stale() bool { return true }

func (p *program) read(ctx context.Context) ([]Spec, error) {
	limited, cancel := context.WithTimeoutCause(ctx, p.limit, fmt.Errorf("no end after %v", p.limit))
	defer cancel()
	stdout, stderr := &capture{limit: maxSize}, &capture{limit: maxComplaint}
	err := runShell(limited, p.line, stdout, stderr)
	switch {
	case limited.Err() != nil:
		err = context.Cause(limited)
	case err == nil && stdout.full:
		err = fmt.Errorf("it prints more than %d MiB", maxSize>>20) //nolint:mnd // the unit
	}
	if err != nil {
		if last := stderr.lastLine(); last != "" {
			err = fmt.Errorf("%w (%s)", err, last)
		}

		return nil, fmt.Errorf("%s: %w", p.title, err)
	}

	return Parse(p.title, stdout.String())
}

// maxComplaint is how much of what the program writes on standard error is kept.
const maxComplaint = 64 << 10

// A capture keeps the beginning of what is written to it, and takes the rest so that the writer continues.
type capture struct {
	strings.Builder

	limit int
	full  bool
}

func (c *capture) Write(p []byte) (int, error) {
	if room := c.limit - c.Len(); len(p) > room {
		c.full = true
		_, _ = c.Builder.Write(p[:room])
	} else {
		_, _ = c.Builder.Write(p)
	}

	return len(p), nil
}

// lastLine returns the last line that is not empty.
func (c *capture) lastLine() string {
	text := strings.TrimSpace(c.String())

	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}
