//go:build unix

package command

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// stdio holds stdin, stdout and stderr of COMMAND, and copies those that are not files of this process.
type stdio struct {
	in, out, err *os.File
	temporary    []*os.File // closed here when COMMAND has them
	input        *os.File   // the end of the pipe that this process writes stdin to
	copying      sync.WaitGroup

	pooled bool
	heard  func()
	output []*os.File  // the ends of the pipes that a pooled COMMAND writes to
	slow   []Impatient // what these are copied to
}

// copyLimit is how long close waits for the output of a pooled COMMAND, at each step.
const copyLimit = 100 * time.Millisecond

func (s *stdio) open(in io.Reader, out, errs io.Writer) (err error) {
	if s.in, err = s.reader(in); err == nil {
		if s.out, err = s.writer(out); err == nil {
			s.err, err = s.writer(errs)
		}
	}

	return err
}

func (s *stdio) reader(from io.Reader) (*os.File, error) {
	if file, ok := from.(*os.File); ok && file != nil {
		return file, nil
	}
	if from == nil {
		return s.null(os.O_RDONLY)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.temporary = append(s.temporary, r)
	s.input = w
	go func() { // ends when from does, or when COMMAND does not read any more; nobody waits for it
		_, _ = io.Copy(w, from)
		w.Close()
	}()

	return r, nil
}

func (s *stdio) writer(to io.Writer) (*os.File, error) {
	if file, ok := to.(*os.File); ok && file != nil {
		return file, nil
	}
	if to == nil {
		return s.null(os.O_WRONLY)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.temporary = append(s.temporary, w)
	if s.pooled {
		s.output = append(s.output, r)
		if to, ok := to.(Impatient); ok {
			s.slow = append(s.slow, to)
		}
		s.copying.Go(func() { s.copy(to, r) })

		return w, nil
	}
	s.copying.Go(func() { // ends when all processes have closed the pipe
		_, _ = io.Copy(to, r)
		r.Close()
	})

	return w, nil
}

// copy copies the output of a pooled COMMAND until no process has the pipe open, or until close. An error of the writer
// does not end COMMAND.
func (s *stdio) copy(to io.Writer, from *os.File) {
	reader, buffer := heardReader{from, s.heard}, make([]byte, 16<<10)
	for {
		n, err := reader.Read(buffer)
		if n > 0 {
			_, _ = to.Write(buffer[:n])
		}
		if err != nil {
			return
		}
	}
}

// hurry makes sure that output which nobody reads does not keep a pooled COMMAND from ending.
func (s *stdio) hurry() {
	for _, to := range s.slow {
		to.Hurry()
	}
}

func (s *stdio) null(mode int) (*os.File, error) {
	file, err := os.OpenFile(os.DevNull, mode, 0)
	if err == nil {
		s.temporary = append(s.temporary, file)
	}

	return file, err
}

// started closes what only COMMAND needs.
func (s *stdio) started() {
	for _, file := range s.temporary {
		file.Close()
	}
	s.temporary = nil
}

// close waits until the output is copied. It does not wait long for that of a pooled COMMAND: somebody may not read it,
// and a process that could not be killed may have the pipe open. It reports whether everything is copied.
func (s *stdio) close() (all bool) {
	s.started()
	if s.input != nil {
		s.input.Close()
	}
	if !s.pooled {
		s.copying.Wait()

		return true
	}
	all = waitFor(&s.copying)
	if !all {
		s.hurry()
		all = waitFor(&s.copying)
	}
	for _, file := range s.output {
		_ = file.SetReadDeadline(past)
	}
	all = all || waitFor(&s.copying)
	for _, file := range s.output {
		file.Close()
	}

	return all
}

// A pipe carries lines to COMMAND. Its methods, except newPipe, work on a nil pipe.
type pipe struct {
	reader *os.File // of COMMAND
	writer int      // -1: closed
}

func newPipe() (*pipe, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	writer, err := unix.FcntlInt(w.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(writer, true)
	}
	if err != nil {
		r.Close()

		return nil, errors.Join(err)
	}

	return &pipe{reader: r, writer: writer}, nil
}

// started closes the end of COMMAND.
func (p *pipe) started() { p.reader.Close() }

// say writes a line, unless COMMAND has not read the previous ones.
func (p *pipe) say(line string) {
	if p != nil && p.writer >= 0 {
		_, _ = unix.Write(p.writer, []byte(line+"\n"))
	}
}

// close ends the file that COMMAND reads.
func (p *pipe) close() {
	if p != nil && p.writer >= 0 {
		unix.Close(p.writer)
		p.writer = -1
	}
}
