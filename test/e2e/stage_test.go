package e2e

import (
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

// soon is the limit for what happens at once, on a machine that is busy with other tests too.
const soon = 20 * time.Second

// A stage has the processes of one test on it and hears what they say.
//
// Every process writes to datagram sockets of its own, which are connected to one socket of the stage. Such a write
// returns when its text is in the queue of that socket, so that the texts of all processes come in the order in which
// they were written: when one process says something and then gives up a lock, what the next owner says comes later,
// for certain. With a pipe for each, the order would be that in which their readers happen to run.
type stage struct {
	t   *testing.T
	dir string // of the sockets
	ear *net.UnixConn

	mu      sync.Mutex // guards the rest
	lines   []line
	changed chan struct{} // closed at the next line
}

// A line is something that a process has said, or its end.
type line struct {
	at   time.Time // when it was heard
	who  string
	via  channel
	text string
}

// channel is the way that a line came.
type channel string

const (
	stdout channel = "out"
	stderr channel = "err"
	ended  channel = "end" // said by the stage itself, when the process is gone; its text is the state of the process
)

// newStage makes an empty stage. When the test ends, no process is left on it, and what has been said has been checked.
func newStage(t *testing.T) *stage {
	t.Helper()
	require.NoError(t, build())
	dir, err := os.MkdirTemp(scratch, "") //nolint:usetesting // a socket's path must be short, and t.TempDir's is not
	require.NoError(t, err)
	ear, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "ear"), Net: "unixgram"})
	require.NoError(t, err)
	s := &stage{t: t, dir: dir, ear: ear, changed: make(chan struct{})}

	heard := make(chan struct{})
	go func() { // ends when ear is closed
		defer close(heard)
		s.listen()
	}()
	t.Cleanup(func() { // runs when all processes are gone
		ear.Close()
		<-heard
		if err := sane(s.lines); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log("what the processes said:\n" + s.script())
		}
	})

	return s
}

// listen cuts what comes into lines; a text need not be a whole one.
func (s *stage) listen() {
	begun := map[string]string{} // by the senders' addresses
	buf := make([]byte, 1<<20)
	for {
		n, from, err := s.ear.ReadFromUnix(buf)
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
			s.hear(line{at, name, channel(via), whole})
			text = rest
		}
		begun[from.Name] = text
	}
}

func (s *stage) hear(l line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, l)
	close(s.changed)
	s.changed = make(chan struct{})
}

// script is all that has been said, for people.
func (s *stage) script() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, l := range s.lines {
		fmt.Fprintf(&b, "%7.3f s  %-10s %s  %s\n", l.at.Sub(s.lines[0].at).Seconds(), l.who, l.via, l.text)
	}

	return b.String()
}

// mark returns a place in what is said: behind everything that has been heard.
func (s *stage) mark() int {
	s.mu.Lock()
	defer s.mu.Unlock()

	return len(s.lines)
}

// until waits until what has been said is as wanted.
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
			s.t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// await waits for a line behind the place that is one of the texts, said by anybody, and returns it and the place
// behind it.
func (s *stage) await(place int, limit time.Duration, texts ...string) (found line, behind int) {
	s.t.Helper()

	return s.awaitOf(place, limit, "", texts...)
}

// awaitOf waits for a line of a process; see await.
func (s *stage) awaitOf(place int, limit time.Duration, who string, texts ...string) (found line, behind int) {
	s.t.Helper()
	s.until(fmt.Sprintf("%s says %q", who, texts), limit, func(lines []line) bool {
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

// said is true when one of the lines behind the place was said by who, at the instant or later.
func said(place int, at time.Time, who, text string) func([]line) bool {
	return func(lines []line) bool {
		return slices.ContainsFunc(lines[place:], func(l line) bool {
			return l.who == who && l.text == text && !l.at.Before(at)
		})
	}
}

// heard reports whether who has said the text behind the place.
func (s *stage) heard(place int, who, text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()

	return said(place, time.Time{}, who, text)(s.lines)
}
