package e2e

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// soon is the limit for something that happens immediately, on a machine that also runs other tests.
const soon = time.Minute

// A stage runs the processes of one test and records their output.
//
// Every process writes to its own datagram sockets, which are connected to one socket of the stage. A write returns
// when its text is in the queue of that socket. The stage therefore reads the texts of all processes in the order in
// which they were written: if a process prints a line and then releases a lock, the lines of the next owner always come
// later. With one pipe for each process, the order would depend on the scheduling of the readers.
type stage struct {
	t      *testing.T
	dir    string // holds the sockets
	socket *net.UnixConn

	mu      sync.Mutex // guards the rest
	lines   []line
	changed chan struct{} // closed when the next line arrives
}

// A line is a line of output of a process, or its end.
type line struct {
	at   time.Time // when the stage read it
	who  string
	via  channel
	text string
}

// channel is the source of a line.
type channel string

const (
	stdout channel = "out"
	stderr channel = "err"
	ended  channel = "end" // written by the stage when the process has ended; the text is the state of the process
)

// newStage makes an empty stage. When the test ends, it kills the remaining processes and checks all output.
func newStage(t *testing.T) *stage {
	t.Helper()
	require.NoError(t, build())
	dir, err := os.MkdirTemp(scratch, "") //nolint:usetesting // a socket's path must be short, and t.TempDir's is not
	require.NoError(t, err)
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "stage"), Net: "unixgram"})
	require.NoError(t, err)
	s := &stage{t: t, dir: dir, socket: socket, changed: make(chan struct{})}

	listened := make(chan struct{})
	go func() { // ends when the socket is closed
		defer close(listened)
		s.listen()
	}()
	t.Cleanup(func() { // runs after the cleanups of all processes
		socket.Close()
		<-listened
		if err := sane(s.lines); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log("output of the processes:\n" + s.transcript())
		}
	})

	return s
}

// listen reads texts and splits them into lines. A text may contain several lines, or a part of one.
func (s *stage) listen() {
	begun := map[string]string{} // unfinished lines by the sender's address
	buf := make([]byte, 1<<20)
	for {
		n, from, err := s.socket.ReadFromUnix(buf)
		if err != nil {
			return
		}
		at := time.Now()
		text := begun[from.Name] + string(buf[:n])
		for {
			whole, rest, ok := strings.Cut(text, "\n")
			if !ok {
				break
			}
			name, via, _ := strings.Cut(filepath.Base(from.Name), ".")
			s.add(line{at, name, channel(via), whole})
			text = rest
		}
		begun[from.Name] = text
	}
}

func (s *stage) add(l line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, l)
	close(s.changed)
	s.changed = make(chan struct{})
}

// transcript formats all lines for a person to read.
func (s *stage) transcript() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, l := range s.lines {
		fmt.Fprintf(&b, "%7.3f s  %-10s %s  %s\n", l.at.Sub(s.lines[0].at).Seconds(), l.who, l.via, l.text)
	}

	return b.String()
}

// mark returns the current place in the output: the number of lines so far.
func (s *stage) mark() int {
	s.mu.Lock()
	defer s.mu.Unlock()

	return len(s.lines)
}

// until waits until the lines so far satisfy wanted. It fails the test after the limit.
func (s *stage) until(what string, limit time.Duration, wanted func([]line) bool) {
	s.t.Helper()
	timeout := time.After(limit)
	for {
		s.mu.Lock()
		lines, changed := s.lines, s.changed
		s.mu.Unlock()
		if wanted(lines) {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			s.t.Fatalf("timed out after %v: waiting until %s", limit, what)
		}
	}
}

// await waits until any process prints one of the texts after the place. It returns the line and the place after it.
func (s *stage) await(place int, limit time.Duration, texts ...string) (found line, behind int) {
	s.t.Helper()

	return s.awaitOf(place, limit, "", texts...)
}

// awaitOf is like await for the lines of one process. If who is empty, it accepts any process.
func (s *stage) awaitOf(place int, limit time.Duration, who string, texts ...string) (found line, behind int) {
	s.t.Helper()
	s.until(fmt.Sprintf("%s prints one of %q", cmp.Or(who, "a process"), texts), limit, func(lines []line) bool {
		for i, l := range lines[min(place, len(lines)):] {
			for _, text := range texts {
				if l.text == text && (who == "" || l.who == who) {
					found, behind = l, place+i+1

					return true
				}
			}
		}

		return false
	})

	return found, behind
}

// printed returns a condition for until: who has printed the text after the place, at the instant or later.
func printed(place int, at time.Time, who, text string) func([]line) bool {
	return func(lines []line) bool {
		return slices.ContainsFunc(lines[place:], func(l line) bool {
			return l.who == who && l.text == text && !l.at.Before(at)
		})
	}
}

// said returns the lines that a process has printed.
func (s *stage) said(who string) (texts []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lines {
		if l.who == who && l.via != ended {
			texts = append(texts, l.text)
		}
	}

	return texts
}

// hasPrinted reports whether who has printed the text after the place.
func (s *stage) hasPrinted(place int, who, text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()

	return printed(place, time.Time{}, who, text)(s.lines)
}
