//go:build unix

package cli

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// handle starts to handle SIGTSTP unless it is handled already.
func (s *Stops) handle() {
	if s == nil || stopIgnored() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end != nil {
		return
	}
	signals, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGTSTP)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-signals:
				s.suspend()
			case <-done:
				return
			}
		}
	})
	s.end = func() {
		signal.Stop(signals)
		close(done)
		running.Wait()
	}
}

// suspend steps aside, stops the process and resumes.
func (s *Stops) suspend() {
	err := s.StepAside()
	StopSelf()
	s.Resume()
	if err != nil {
		s.failed(err)
	}
}

// stopIgnored reports whether the process was started with SIGTSTP ignored. Package signal does not know it.
var stopIgnored = sync.OnceValue(func() bool { return ignored(syscall.SIGTSTP) })
