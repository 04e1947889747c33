package main

import (
	"context"
	"errors"
	"fmt"

	"tenure"
	"tenure/internal/admin"
	"tenure/internal/cli"
	"tenure/internal/embedded"
)

// adminFlag is the row of --admin.
func (l *looker) adminFlag() cli.Flag {
	return cli.Flag{
		Name: "admin", Group: cli.GroupWhere, Arg: "URL", Example: "http://localhost:2137", Value: &l.admin,
		Usage: "admin address of \"tenure serve\": that of its --http", Check: func() error {
			_, err := admin.New(l.admin, "", nil)

			return err
		},
	}
}

// byAdmin reports whether the admin address alone names the server.
func (l *looker) byAdmin() bool {
	return l.admin != "" && l.DSN == tenure.Embedded && !cli.Given(l.cmd, "ydb")
}

// Check checks the values of the flags, and completes those that are not given.
func (l *looker) Check() error {
	if l.Embedded() && cli.OnLine(l.cmd, "admin") && l.ByAdmin != nil {
		return fmt.Errorf("%s=%q and --admin name different servers: leave one of them out", cli.Setting(l.cmd, "ydb"),
			l.DSN)
	}

	return l.Session.Check()
}

// Place names the server, for messages.
func (l *looker) Place() string {
	if l.byAdmin() {
		return l.admin
	}

	return l.Session.Place()
}

// knowsStatus reports whether status can answer.
func (l *looker) knowsStatus() bool { return l.Embedded() || l.admin != "" }

// adminClient returns a client of the admin address.
func (l *looker) adminClient() (*admin.Client, error) {
	if l.admin == "" {
		return nil, fmt.Errorf("%s needs the admin address of the server, because the protocol has no request for it: "+
			"pass that of \"tenure serve --http\" with --admin or TENURE_ADMIN", l.cmd.CommandPath())
	}

	return cli.AdminClient(l.env, l.cmd, l.admin)
}

// limited returns a context for a request to the admin address.
func (l *looker) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, l.ConnectTimeout, fmt.Errorf("no answer within %v", l.ConnectTimeout))
}

// endSession ends a session of a node, if it holds the token or the token is 0. The error wraps admin.ErrNoSession if
// there is none.
func (l *looker) endSession(ctx context.Context, node string, session, token uint64) error {
	if l.Embedded() {
		err := embedded.EndSession(ctx, l.embeddedConfig(), node, session, token)
		if errors.Is(err, embedded.ErrNoSession) {
			return admin.ErrNoSession
		}

		return err
	}
	client, err := l.adminClient()
	if err != nil {
		return err
	}
	ctx, cancel := l.limited(ctx)
	defer cancel()

	return client.EndSession(ctx, node, session, token)
}
