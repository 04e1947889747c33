package e2e

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The lines of lock and workers by which they say what they are doing. A claim begins with the line that is written
// first after the lease was granted, and ends with the one that is written last before it is given back.
const (
	waiting   = "waiting for a lock..."
	acquired  = "the lock is acquired"
	starting  = "starting work"
	working   = "work is in progress..."
	suspended = "suspending work"
	released  = "the lock is released"
)

// claims says which process works on what, by what the processes have said so far.
type claims map[string]string

// of returns the claims after the lines, and the first error in them.
func of(lines []line) (claims, error) {
	c := claims{}
	for _, l := range lines {
		if err := c.hear(l); err != nil {
			return c, err
		}
	}

	return c, nil
}

// hear takes a line. It is an error if two processes work on the same thing, or if one works on what it has not begun.
func (c claims) hear(l line) error {
	if l.via == ended {
		maps.DeleteFunc(c, func(_, who string) bool { return who == l.who })

		return nil
	}
	what, says := "the lock", l.text
	if task, state, ok := strings.Cut(strings.TrimPrefix(l.text, "worker "), ": "); ok {
		what, says = task, state
	}
	switch says {
	case acquired, "starting":
		if who, taken := c[what]; taken {
			return fmt.Errorf("%s begins with %s while %s works on it", l.who, what, who)
		}
		c[what] = l.who
	case starting, working, "in progress", suspended, "done":
		if c[what] != l.who {
			return fmt.Errorf("%s says %q without having begun with %s", l.who, l.text, what)
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
	for _, who := range c {
		n[who]++
	}

	return n
}

// sane reports two processes that worked on the same thing at once, and what no process ever says.
func sane(lines []line) error {
	for _, l := range lines {
		for _, bad := range []string{"DATA RACE", "panic: ", "goroutine ", "fatal error: "} {
			if strings.Contains(l.text, bad) {
				return fmt.Errorf("%s says %q", l.who, l.text)
			}
		}
	}
	_, err := of(lines)

	return err
}

func TestClaims(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		lines string // who: text
		want  claims
		err   string
	}{
		"one after another": {
			lines: "a: the lock is acquired|a: starting work|a: suspending work|b: the lock is acquired|a: the lock is released",
			want:  claims{"the lock": "b"},
		},
		"two at once": {
			lines: "a: the lock is acquired|b: the lock is acquired",
			err:   "b begins with the lock while a works on it",
		},
		"it works on": {
			lines: "a: the lock is acquired|a: suspending work|a: work is in progress...",
			err:   `a says "work is in progress..." without having begun with the lock`,
		},
		"tasks": {
			lines: "a: worker job-1: starting|b: worker job-2: starting|a: worker job-1: done|b: worker job-1: starting",
			want:  claims{"job-1": "b", "job-2": "b"},
		},
		"a task twice": {
			lines: "a: worker job-1: starting|b: worker job-1: starting",
			err:   "b begins with job-1 while a works on it",
		},
		"the dead do not work": {
			lines: "a: the lock is acquired|a: worker job-1: starting|a!|b: the lock is acquired",
			want:  claims{"the lock": "b"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var lines []line
			for said := range strings.SplitSeq(test.lines, "|") {
				if who, dies := strings.CutSuffix(said, "!"); dies {
					lines = append(lines, line{who: who, via: ended})

					continue
				}
				who, text, _ := strings.Cut(said, ": ")
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
