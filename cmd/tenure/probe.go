package main

import (
	"context"
	"errors"
	"fmt"

	health "google.golang.org/grpc/health/grpc_health_v1"

	"tenure/internal/cli"
	"tenure/internal/printable"
	"tenure/internal/ydberr"
)

// exitNotReady is the exit code of status --check if the server is not ready, and of status --live if it is not alive.
const exitNotReady = 1

// probe says in one line whether the server is ready.
func (l *looker) probe(ctx context.Context) error {
	where, note, err := l.ready(ctx)
	if err != nil {
		return &cli.ExitError{Code: exitNotReady, Err: fmt.Errorf("not ready: %w", err)}
	}
	ready := struct {
		Ready  bool   `json:"ready"`
		Server string `json:"server"`
		Note   string `json:"note,omitempty"`
	}{true, where, note}

	return l.print(ready, func() string {
		if note != "" {
			note = ": " + note
		}

		return "ready: " + printable.Text(where+note) + "\n"
	})
}

// probeLive says in one line whether the server is alive. If it is not, only a restart helps.
func (l *looker) probeLive(ctx context.Context) error {
	if l.admin == "" {
		return errors.New("--live needs the admin address of the server: pass that of \"tenure serve --http\" with " +
			"--admin or TENURE_ADMIN")
	}
	client, err := l.adminClient()
	if err != nil {
		return err
	}
	ctx, cancel := l.limited(ctx)
	defer cancel()
	if err := client.Live(ctx); err != nil {
		return &cli.ExitError{Code: exitNotReady, Err: fmt.Errorf("not alive: %w", err)}
	}
	alive := struct {
		Alive  bool   `json:"alive"`
		Server string `json:"server"`
	}{true, l.admin}

	return l.print(alive, func() string { return "alive: " + printable.Text(l.admin) + "\n" })
}

// ready returns the name of the server if clients should use it now, and what is still unusual. The admin address comes
// first: it needs no token on a loopback address.
func (l *looker) ready(ctx context.Context) (where, note string, err error) {
	if l.admin != "" {
		client, err := l.adminClient()
		if err != nil {
			return "", "", err
		}
		ctx, cancel := l.limited(ctx)
		defer cancel()
		note, err = client.Ready(ctx)

		return l.admin, note, err
	}
	if err := l.Check(); err != nil {
		return "", "", err
	}
	if l.Embedded() {
		_, err := l.report(ctx)

		return l.Place(), "", err
	}
	where, err = l.serving(ctx)

	return where, "", err
}

// serving returns the name of the server if it says that it is serving.
func (l *looker) serving(ctx context.Context) (where string, err error) {
	client, done, err := l.open(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	ctx, cancel := l.limited(ctx)
	defer cancel()
	var answer health.HealthCheckResponse
	err = client.Driver.Invoke(ctx, health.Health_Check_FullMethodName, &health.HealthCheckRequest{}, &answer)
	switch {
	case ydberr.Unimplemented(err): // it has answered before, as YDB does
		return l.Place(), nil
	case err != nil:
		return "", ydberr.Wrap("ask "+l.Place(), err)
	case answer.GetStatus() != health.HealthCheckResponse_SERVING:
		return "", errors.New("the server says that it is stopping, or that its disk does not work: look at its log")
	}

	return l.Place(), nil
}
