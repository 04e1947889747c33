package embedded

import "context"

// StepAside prepares this process for being suspended. If this process is the host, StepAside stops the server as Close
// does, so that another process can become the host. A suspended host would keep all other processes from renewing
// their leases. Until Resume is called, this process does not become the host, Dial waits for another one, and there
// are no notices.
//
// StepAside returns when the server has stopped, or with the cause of ctx when ctx ends. In the latter case the server
// still stops as soon as possible.
func (l *Local) StepAside(ctx context.Context) error {
	l.aside.Store(true)
	l.vigil.rest(true)
	stopped := make(chan error, 1)
	go func() { // ends when the server has stopped, here or in Close
		l.mu.Lock() // waits while a host starts
		defer l.mu.Unlock()
		var err error
		if l.aside.Load() && !l.shut {
			err = l.endHost(ctx)
		}
		stopped <- err
	}()
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Resume ends the effect of StepAside. This process becomes the host again only if it needs a connection and no other
// process is the host.
func (l *Local) Resume() {
	l.aside.Store(false)
	l.vigil.rest(false)
	if l.dials.Load() > 0 {
		l.vigil.want()
	}
}
