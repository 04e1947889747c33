// Package tasklist reads lists of tasks: from the command line, from a file, and from the output of a program. A list
// that may change is read again, and a list that cannot be read leaves the previous one in force.
package tasklist

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"tenure/internal/limit"
	"tenure/workers"
)

// A Spec is a task of a list. Its weight is at least 1.
type Spec = workers.Spec

const (
	// MaxTasks is the largest number of tasks of a list. It keeps a typing error from asking for more semaphores than a
	// node can have.
	MaxTasks = 100_000

	// MaxWeight is the largest weight of a task.
	MaxWeight = 1_000_000
)

// Numbered returns the tasks PREFIX0, PREFIX1, ..., each with the weight 1.
func Numbered(prefix string, n int) ([]Spec, error) {
	specs := make([]Spec, n)
	for i := range specs {
		name := prefix + strconv.Itoa(i)
		if err := CheckName(name); err != nil {
			return nil, err
		}
		specs[i] = Spec{Name: name, Weight: 1}
	}

	return specs, nil
}

// Words returns the tasks of the texts NAME or NAME=WEIGHT. A name that contains "=" needs a weight.
func Words(texts []string) ([]Spec, error) {
	var l list
	for _, text := range texts {
		name, weight := text, ""
		if i := strings.LastIndexByte(text, '='); i >= 0 {
			name, weight = text[:i], text[i+1:]
			if weight == "" {
				return nil, fmt.Errorf("%q: the weight is missing: write %s=1, or leave = out", text, name)
			}
		}
		if err := l.add(0, name, weight); err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
	}

	return l.specs, nil
}

// Parse returns the tasks in the lines of a text. A line is NAME or NAME WEIGHT. Empty lines count for nothing, and
// neither does a word that begins with # and all that follows it on its line. The error begins with the name of the
// text and the number of the line. A text without a task is an error.
func Parse(source, text string) ([]Spec, error) {
	var l list
	line := 0
	for content := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) { // some editors begin a file with this mark
		line++
		words := strings.Fields(content)
		for i, word := range words {
			if word[0] == '#' {
				words = words[:i]

				break
			}
		}
		var err error
		switch len(words) {
		case 0:
		case 1:
			err = l.add(line, words[0], "")
		case 2: //nolint:mnd // name and weight
			err = l.add(line, words[0], words[1])
		default:
			err = fmt.Errorf("%d words: write NAME, or NAME WEIGHT", len(words))
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", source, line, err)
		}
	}
	if len(l.specs) == 0 {
		return nil, fmt.Errorf("%s: %w", source, errNone)
	}

	return l.specs, nil
}

var errNone = errors.New("it lists no task")

// A list collects tasks.
type list struct {
	specs []Spec
	lines map[string]int // the line of each name
}

// add adds a task. The weight may be empty.
func (l *list) add(line int, name, weight string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	s := Spec{Name: name, Weight: 1}
	if weight != "" {
		n, err := strconv.Atoi(weight)
		if err != nil || n < 1 || n > MaxWeight {
			return fmt.Errorf("the weight %q is not a whole number between 1 and %d", weight, MaxWeight)
		}
		s.Weight = n
	}
	if l.lines == nil {
		l.lines = make(map[string]int)
	}
	switch first, again := l.lines[name]; {
	case again && first > 0:
		return fmt.Errorf("%q is listed twice, first in line %d", name, first)
	case again:
		return fmt.Errorf("%q is listed twice", name)
	case len(l.specs) == MaxTasks:
		return fmt.Errorf("there are more than %d tasks", MaxTasks)
	}
	l.lines[name] = line
	l.specs = append(l.specs, s)

	return nil
}

// CheckName checks the name of a task, which is the name of a semaphore and a part of lines of text.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case len(name) > limit.Name:
		return fmt.Errorf("the name has %d bytes: the limit is %d", len(name), limit.Name)
	case !utf8.ValidString(name):
		return fmt.Errorf("the name %q is not valid UTF-8", name)
	case strings.ContainsFunc(name, breaksLines):
		return fmt.Errorf("the name %q contains a control character", name)
	}

	return nil
}

// breaksLines reports whether a character may end a line of text or change how a terminal shows it.
func breaksLines(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
}
