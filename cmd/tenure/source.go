package main

import (
	"context"
	"errors"
	"slices"

	"tenure/internal/cli"
	"tenure/internal/embedded"
	"tenure/internal/look"
	"tenure/internal/ydberr"
	"tenure/server"
)

// semaphore looks at one semaphore. If the node or the semaphore does not exist, nobody holds it.
func (l *looker) semaphore(ctx context.Context, name string) (look.Semaphore, error) {
	if l.knowsStatus() {
		status, err := l.status(ctx)

		return look.Find(status, l.Path, name), err
	}
	client, done, err := l.open(ctx)
	if err != nil {
		return look.Semaphore{}, err
	}
	defer done()
	session, err := l.Look(ctx, client)
	switch {
	case ydberr.NoNode(err):
		return look.Free(name), nil
	case err != nil:
		return look.Semaphore{}, err
	}
	defer cli.EndLook(ctx, session)
	s, _, err := look.Describe(ctx, session, name)

	return s, err
}

// status returns the status of the server, which the protocol has no request for.
func (l *looker) status(ctx context.Context) (server.Status, error) {
	if l.Embedded() {
		report, err := l.report(ctx)

		return report.Status, err
	}

	client, err := l.adminClient()
	if err != nil {
		return server.Status{}, err
	}
	ctx, cancel := l.limited(ctx)
	defer cancel()

	return client.Status(ctx)
}

// nodes checks the flags and returns the status of the coordination nodes: that of --path, or all of them.
func (l *looker) nodes(ctx context.Context) ([]server.NodeStatus, error) {
	only := l.Path
	if err := l.Check(); err != nil {
		return nil, err
	}
	status, err := l.status(ctx)
	if err != nil || only == "" {
		return status.Nodes, err
	}

	return slices.DeleteFunc(status.Nodes, func(n server.NodeStatus) bool { return n.Path != only }), nil
}

// report returns the report on the embedded server, after Check. It does not create the state directory.
func (l *looker) report(ctx context.Context) (embedded.Report, error) {
	read := make(reading)
	stops := cli.HandleStops(read, func(error) {})
	defer stops.Close()
	defer close(read)

	return embedded.ReadReport(ctx, l.embeddedConfig())
}

func (l *looker) embeddedConfig() embedded.Config {
	return embedded.Config{Dir: l.Dir, DirSetting: cli.DirSetting, AddressSetting: cli.AddressSetting}
}

// reading is closed when the report has been read. Until then this process may host the server, but only for a moment,
// so a stop waits for the end of reading. If that takes longer, this process waits for another host.
type reading chan struct{}

func (r reading) StepAside(ctx context.Context) error {
	select {
	case <-r:
	case <-ctx.Done():
	}

	return nil
}

func (reading) Resume() {}

// complain prints a message on standard error.
func (l *looker) complain(text string) { cli.Complain(l.env, cli.ProgramName(l.cmd), errors.New(text)) }
