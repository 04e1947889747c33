package cli

import (
	"context"
	"sync"
	"time"

	"tenure/internal/clientconfig"
)

// asideLimit is the time limit for stepping aside. The user expects that a stop takes effect immediately.
const asideLimit = time.Second

// Stops handles SIGTSTP for a process that may host the embedded server: it calls StepAside, stops the process as the
// signal does by default, and calls Resume when the process continues. Without StepAside, a suspended host would keep
// all other processes from renewing their leases. Its methods are safe for concurrent use, also on a nil *Stops.
type Stops struct {
	host   clientconfig.Host // nil: the process cannot host the server
	failed func(error)       // gets the error of StepAside after the process has continued

	mu  sync.Mutex // guards end
	end func()     // ends the handling; nil while SIGTSTP is not handled
}

// HandleStops starts to handle SIGTSTP. The caller must call Close in the end. If the process was started with SIGTSTP
// ignored, the signal stays ignored.
func HandleStops(host clientconfig.Host, failed func(error)) *Stops {
	s := &Stops{host: host, failed: failed}
	s.handle()

	return s
}

// Own ends the handling of SIGTSTP until giveBack is called. The caller handles the signal itself: it calls StepAside,
// stops the process with StopSelf, and calls Resume. Unless the caller asks for the signal, it has no effect.
func (s *Stops) Own() (giveBack func()) {
	s.Close()

	return s.handle
}

// Close ends the handling of SIGTSTP. It waits while the process is stopped. Afterwards the signal has no effect.
// Calling Close again has no effect.
func (s *Stops) Close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end != nil {
		s.end()
		s.end = nil
	}
}

// StepAside hands the embedded server over to another process if this process hosts it. The caller stops the process
// next, even if there was an error, and then calls Resume.
func (s *Stops) StepAside() error {
	if s == nil || s.host == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), asideLimit)
	defer cancel()

	return s.host.StepAside(ctx)
}

// Resume allows this process to host the embedded server again.
func (s *Stops) Resume() {
	if s != nil && s.host != nil {
		s.host.Resume()
	}
}
