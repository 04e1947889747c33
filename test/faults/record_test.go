//go:build linux

package faults

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
	begin   = "begin"   // the process starts to work
	works   = "works"   // the process works
	end     = "end"     // the process has finished its work, and exits
	crowded = "crowded" // COMMAND has started while a process of an earlier COMMAND was alive
)

// A line is what one process of a COMMAND says at one time.
type line struct {
	at     int64  // nanoseconds of CLOCK_BOOTTIME, for people
	token  uint64 // of COMMAND
	pid    int
	parent int
	role   string // of the process
	verb   string
}

func (l line) String() string {
	return fmt.Sprintf("%d %d %d %d %s %s", l.at, l.token, l.pid, l.parent, l.role, l.verb)
}

// A record is a file to which many processes append lines. The order of the lines is the order in which they were
// written.
type record struct{ *os.File }

func openRecord(name string) (record, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)

	return record{f}, err
}

func (r record) append(l line) error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return err
	}
	l.at = now.Nano()
	_, err := r.WriteString(l.String() + "\n") // one write, so that lines do not mix

	return err
}

// lines returns all lines.
func (r record) lines() ([]line, error) {
	text, err := os.ReadFile(r.Name())
	if err != nil {
		return nil, err
	}
	var lines []line
	for text := range strings.Lines(string(text)) {
		l, err := parse(strings.Fields(text))
		if err != nil {
			return nil, fmt.Errorf("record line %q: %w", text, err)
		}
		lines = append(lines, l)
	}

	return lines, nil
}

func parse(fields []string) (l line, err error) {
	const words, numbers = 6, 4
	if len(fields) != words {
		return line{}, errors.New("is not whole")
	}
	var n [numbers]int64
	for i := range n {
		if n[i], err = strconv.ParseInt(fields[i], 10, 64); err != nil {
			return line{}, err
		}
	}

	return line{n[0], uint64(n[1]), int(n[2]), int(n[3]), fields[4], fields[5]}, nil
}
