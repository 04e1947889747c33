package e2e

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Lines in which lock reports its progress. A claim begins with the first line after the lease is granted, and ends
// with the last line before the lease is released.
const (
	waiting   = "waiting for a lock..."
	acquired  = "the lock is acquired"
	starting  = "starting work"
	working   = "work is in progress..."
	suspended = "suspending work"
	released  = "the lock is released"
)

// claims maps the lock and each task to the process that works on it, according to the output so far. A name that ends
// with a question mark has the process that worked on it and has ended since. Its COMMAND may print lines until the
// guard kills it.
type claims map[string]string

// of returns the claims after all lines, or after the first line that is an error.
func of(lines []line) (claims, error) {
	c := claims{}
	for _, l := range lines {
		if err := c.add(l); err != nil {
			return c, err
		}
	}

	return c, nil
}

// add processes one line. It returns an error if two processes work on the same thing, or if a process works on
// something that it has not begun.
func (c claims) add(l line) error {
	if l.via == ended {
		for what, who := range maps.Clone(c) {
			if who == l.who {
				delete(c, what)
				c[strings.TrimSuffix(what, "?")+"?"] = who
			}
		}

		return nil
	}
	what, says := "the lock", l.text
	if task, state, ok := strings.Cut(strings.TrimPrefix(l.text, "worker "), ": "); ok {
		what, says = task, state
	}
	switch says {
	case acquired, "starting":
		if who, taken := c[what]; taken {
			return fmt.Errorf("%s begins %s while %s works on it", l.who, what, who)
		}
		delete(c, what+"?")
		c[what] = l.who
	case starting, working, "in progress", suspended, "done":
		if c[what] != l.who && c[what+"?"] != l.who {
			return fmt.Errorf("%s prints %q but has not begun %s", l.who, l.text, what)
		}
	}
	if says == suspended || says == "done" {
		delete(c, what)
	}

	return nil
}

// by returns how many things each process works on.
func (c claims) by() map[string]int {
	n := map[string]int{}
	for what, who := range c {
		if !strings.HasSuffix(what, "?") {
			n[who]++
		}
	}

	return n
}

// sane returns an error if two processes worked on the same thing at the same time, or if a process crashed.
func sane(lines []line) error {
	for _, l := range lines {
		for _, bad := range []string{"DATA RACE", "panic: ", "goroutine ", "fatal error: "} {
			if strings.Contains(l.text, bad) {
				return fmt.Errorf("%s prints %q", l.who, l.text)
			}
		}
	}
	_, err := of(lines)

	return err
}

func TestClaims(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		lines string // "process: text" separated by "|"; "process!" is its end
		want  claims
		err   string
	}{
		"one after another": {
			lines: "a: the lock is acquired|a: starting work|a: suspending work|b: the lock is acquired|a: the lock is released",
			want:  claims{"the lock": "b"},
		},
		"two at the same time": {
			lines: "a: the lock is acquired|b: the lock is acquired",
			err:   "b begins the lock while a works on it",
		},
		"work after the end": {
			lines: "a: the lock is acquired|a: suspending work|a: work is in progress...",
			err:   `a prints "work is in progress..." but has not begun the lock`,
		},
		"tasks": {
			lines: "a: worker job-1: starting|b: worker job-2: starting|a: worker job-1: done|b: worker job-1: starting",
			want:  claims{"job-1": "b", "job-2": "b"},
		},
		"one task in two processes": {
			lines: "a: worker job-1: starting|b: worker job-1: starting",
			err:   "b begins job-1 while a works on it",
		},
		"a dead process has no claims": {
			lines: "a: the lock is acquired|a: worker job-1: starting|a!|b: the lock is acquired",
			want:  claims{"the lock": "b", "job-1?": "a"},
		},
		"COMMAND of a dead process": {
			lines: "a: the lock is acquired|a!|a: work is in progress...",
			want:  claims{"the lock?": "a"},
		},
		"COMMAND of a dead process while another one works": {
			lines: "a: the lock is acquired|a!|b: the lock is acquired|a: work is in progress...",
			err:   `a prints "work is in progress..." but has not begun the lock`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var lines []line
			for part := range strings.SplitSeq(test.lines, "|") {
				if who, dies := strings.CutSuffix(part, "!"); dies {
					lines = append(lines, line{who: who, via: ended})

					continue
				}
				who, text, _ := strings.Cut(part, ": ")
				lines = append(lines, line{who: who, via: stdout, text: text})
			}
			got, err := of(lines)
			if test.err != "" {
				require.EqualError(t, err, test.err)

				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}
