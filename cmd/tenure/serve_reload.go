package main

import (
	"context"
	"sync"
	"syscall"

	"tenure/internal/cli"
	"tenure/server"
)

// reloadWhileRunning reads the files of the configuration again on SIGHUP, and when they change, until stop is called.
// A SIGHUP because the terminal of the server is gone ends the server instead.
func (p *plan) reloadWhileRunning(ctx context.Context, srv *server.Server) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	if p.certs != nil {
		running.Go(func() { p.certs.Watch(ctx) })
	}
	hangups := make(chan syscall.Signal, 1)
	release := cli.Divert(ctx, syscall.SIGHUP, hangups)
	terminal := hasTerminal()
	running.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
			}
			if terminal && !hasTerminal() {
				p.hungUp <- struct{}{}

				return
			}
			p.reload(ctx, srv)
		}
	})

	return func() {
		release()
		cancel()
		running.Wait()
	}
}

// reload reads the files again, and logs what cannot be used.
func (p *plan) reload(ctx context.Context, srv *server.Server) {
	p.log.InfoContext(ctx, "reading the files of the configuration again", "cause", "SIGHUP")
	p.manager.reloading()
	defer p.manager.ready()
	if p.certs != nil {
		_ = p.certs.Reload()
	}
	if err := p.audit.Reopen(); err != nil {
		p.log.ErrorContext(ctx, "cannot open the audit log again", "error", err)
	}
	if err := srv.Reload(); err != nil {
		p.log.ErrorContext(ctx, "cannot use the tokens file: keeping the users and rights in use", "error", err)
	}
}
