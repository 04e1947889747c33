package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

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

// knowsStatus reports whether status can answer.
func (l *looker) knowsStatus() bool { return l.Embedded() || l.admin != "" }

// adminClient returns a client of the admin address.
func (l *looker) adminClient() (*admin.Client, error) {
	if l.admin == "" {
		return nil, fmt.Errorf("%s needs the admin address of the server, because the protocol has no request for it: "+
			"pass that of \"tenure serve --http\" with --admin or TENURE_ADMIN", l.cmd.CommandPath())
	}
	token, err := l.accessToken()
	if err != nil {
		return nil, err
	}
	roots, err := l.authorities()
	if err != nil {
		return nil, err
	}

	client, err := admin.New(l.admin, token, roots)
	if err != nil {
		return nil, fmt.Errorf("%s=%q %w", cli.Setting(l.cmd, "admin"), l.admin, err)
	}

	return client, nil
}

// limited returns a context for a request to the admin address.
func (l *looker) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, l.ConnectTimeout, fmt.Errorf("no answer within %v", l.ConnectTimeout))
}

// value returns the value of a flag, if the command has it and it is set.
func (l *looker) value(flag string) string {
	if f := l.cmd.Flags().Lookup(flag); f != nil && cli.Given(l.cmd, flag) {
		return f.Value.String()
	}

	return ""
}

// accessToken returns the token that the process has for the server.
func (l *looker) accessToken() (string, error) {
	file := l.value("auth-token-file")
	if file == "" {
		token, _ := l.env.LookupEnv("YDB_ACCESS_TOKEN_CREDENTIALS")

		return token, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", cli.Setting(l.cmd, "auth-token-file"), err)
	}

	return strings.TrimSpace(string(text)), nil
}

// authorities returns the certificate authorities to trust; nil means those of the system.
func (l *looker) authorities() (*x509.CertPool, error) {
	file, setting := l.value("ca-file"), cli.Setting(l.cmd, "ca-file")
	if file == "" {
		setting = "YDB_SSL_ROOT_CERTIFICATES_FILE"
		file, _ = l.env.LookupEnv(setting)
	}
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s=%q has no certificate in PEM", setting, file)
	}

	return pool, nil
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
