//go:build unix

package command

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"tenure/internal/clock"
)

// maxState is the size of the largest state.
const maxState = 1 << 20

// states reads the states that COMMAND writes, and passes them to Command.State. The zero states does nothing.
type states struct {
	file    *os.File // the end of the pipe that this process reads
	theirs  *os.File // the end of COMMAND; closed here when COMMAND has it
	deliver func([]byte)
	heard   func()
	problem func(error)

	reading, delivering sync.WaitGroup
	wake                chan struct{} // has one element if there is a new state, closed after the last one

	mu     sync.Mutex // guards the rest
	newest []byte
	isNew  bool
}

// open creates the pipe.
func (s *states) open() (err error) {
	if s.file, s.theirs, err = os.Pipe(); err != nil {
		return err
	}
	s.wake = make(chan struct{}, 1)
	s.reading.Go(s.read)
	s.delivering.Go(s.run)

	return nil
}

// started closes the end of COMMAND.
func (s *states) started() {
	if s.theirs != nil {
		s.theirs.Close()
	}
}

// read reads lines until no process has the other end open, or until close.
func (s *states) read() {
	defer close(s.wake)
	lines := bufio.NewReader(heardReader{s.file, s.heard})
	var line []byte
	tooLong := 0
	for {
		part, err := lines.ReadSlice('\n')
		if len(line)+len(part) > maxState+1 || tooLong > 0 {
			tooLong += len(line) + len(part)
			line = nil
		} else {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil:
			if len(line) > 0 {
				s.problem(fmt.Errorf("the last state of COMMAND is not saved: it ends without a newline after %d bytes",
					len(line)))
			}

			return
		case tooLong > 0:
			s.problem(fmt.Errorf("a state of COMMAND is not saved: it has %d bytes: the limit is %d", tooLong-1, maxState))
		default:
			s.put(line[:len(line)-1])
		}
		line, tooLong = nil, 0
	}
}

// put makes a state the newest one. One that has not been delivered yet is forgotten.
func (s *states) put(state []byte) {
	s.mu.Lock()
	s.newest, s.isNew = state, true
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // run takes the newest one anyway
	}
}

// run delivers the states until the last one is delivered.
func (s *states) run() {
	for open := true; open; {
		_, open = <-s.wake
		s.mu.Lock()
		state, isNew := s.newest, s.isNew
		s.newest, s.isNew = nil, false
		s.mu.Unlock()
		if isNew {
			s.deliver(state)
		}
	}
}

// close waits until the last state is delivered. A process that still has the pipe open cannot write to it any longer.
func (s *states) close() {
	if s.file == nil {
		return
	}
	s.started()
	waitFor(&s.reading)
	_ = s.file.SetReadDeadline(past)
	s.reading.Wait()
	s.file.Close()
	s.delivering.Wait()
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// waitFor waits for the group, but not longer than copyLimit.
func waitFor(group *sync.WaitGroup) (done bool) {
	over := make(chan struct{})
	go func() { // ends when the group does
		group.Wait()
		close(over)
	}()
	clk := clock.Go()
	timer := clk.NewTimer()
	defer timer.Stop()
	now := clk.Now()
	timer.Set(now, now.Add(copyLimit))
	select {
	case <-over:
		return true
	case <-timer.C():
		return false
	}
}

// A heardReader reports each Read that has read something.
type heardReader struct {
	from  io.Reader
	heard func()
}

func (r heardReader) Read(b []byte) (int, error) {
	n, err := r.from.Read(b)
	if n > 0 && r.heard != nil {
		r.heard()
	}

	return n, err
}
