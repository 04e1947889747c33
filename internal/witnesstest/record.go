//go:build linux

// Package witnesstest has a record to which the processes of several COMMANDs write what they do. Its check knows
// nothing of locks: at most one COMMAND works at a time, and the tokens rise.
package witnesstest

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Verbs of lines.
const (
	Begin   = "begin"   // the process starts to work
	Works   = "works"   // the process works
	End     = "end"     // the process has finished its work, and exits
	Crowded = "crowded" // COMMAND has started while a process of an earlier COMMAND was alive
)

// A Line is what one process of a COMMAND says at one time.
type Line struct {
	At     int64  // nanoseconds of CLOCK_BOOTTIME, for people
	Token  uint64 // of COMMAND
	PID    int
	Parent int
	Role   string // of the process
	Verb   string
}

func (l Line) String() string {
	return fmt.Sprintf("%d %d %d %d %s %s", l.At, l.Token, l.PID, l.Parent, l.Role, l.Verb)
}

// A Record is a file to which many processes append lines. The order of the lines is the order in which they were
// written.
type Record struct{ *os.File }

// Open opens the record with the file name, or creates it.
func Open(name string) (Record, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)

	return Record{f}, err
}

// Append appends a line. It sets At.
func (r Record) Append(l Line) error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return err
	}
	l.At = now.Nano()
	_, err := r.WriteString(l.String() + "\n") // one write, so that lines do not mix

	return err
}

// Lines returns all lines.
func (r Record) Lines() ([]Line, error) {
	text, err := os.ReadFile(r.Name())
	if err != nil {
		return nil, err
	}
	var lines []Line
	for text := range strings.Lines(string(text)) {
		l, err := parse(strings.Fields(text))
		if err != nil {
			return nil, fmt.Errorf("record line %q: %w", text, err)
		}
		lines = append(lines, l)
	}

	return lines, nil
}

func parse(fields []string) (l Line, err error) {
	const words, numbers = 6, 4
	if len(fields) != words {
		return Line{}, errors.New("is not whole")
	}
	var n [numbers]int64
	for i := range n {
		if n[i], err = strconv.ParseInt(fields[i], 10, 64); err != nil {
			return Line{}, err
		}
	}

	return Line{n[0], uint64(n[1]), int(n[2]), int(n[3]), fields[4], fields[5]}, nil
}
