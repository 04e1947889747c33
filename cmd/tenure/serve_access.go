package main

import (
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tenure/internal/access"
	"tenure/internal/advertise"
	"tenure/internal/certs"
	"tenure/internal/cli"
	"tenure/server"
)

// groupAccess is the title of the flags about callers and their rights in the help.
const groupAccess = "Access"

// accessFlags are the values of the flags that say who can reach the server, and how it knows its callers.
type accessFlags struct {
	cert, key, clientCA string
	tokens              string
	tokenLifetime       time.Duration
	insecure            bool
}

// Limits of --token-lifetime. The SDK logs in again after a tenth of it.
const (
	minTokenLifetime = time.Minute
	maxTokenLifetime = 365 * 24 * time.Hour
)

// addAccess adds the flags about the access to a server.
func addAccess(cmd *cobra.Command, f *serveFlags) {
	cli.AddFlags(cmd,
		cli.Flag{
			Name: "tls-cert", Group: groupAccess, Arg: "FILE", Example: "server.pem", Value: &f.cert,
			Usage: "certificate of the server and those of its issuers, in PEM form: use TLS",
		},
		cli.Flag{
			Name: "tls-key", Group: groupAccess, Arg: "FILE", Example: "server.key", Value: &f.key,
			Usage: "private key of the certificate, in PEM form, which others must not be able to read",
		},
		cli.Flag{
			Name: "tls-client-ca", Group: groupAccess, Arg: "FILE", Example: "clients.pem", Value: &f.clientCA,
			Usage: "authorities of the certificates that clients need; with --tokens, a token is enough",
		},
		cli.Flag{
			Name: "tokens", Group: groupAccess, Arg: "FILE", Example: "/etc/tenure/tokens", Value: &f.tokens,
			Env:   "TENURE_TOKENS_FILE", // TENURE_TOKENS is what lock gives its COMMAND
			Usage: "users, their tokens and their rights (default: every caller has all rights)",
		},
		cli.Flag{
			Name: "token-lifetime", Group: groupAccess, Arg: "D", Example: "12h", Value: &f.tokenLifetime,
			Usage: "lifetime of the tokens of users who log in with a password",
			Check: func() error {
				if f.tokenLifetime < minTokenLifetime || f.tokenLifetime > maxTokenLifetime {
					return fmt.Errorf("is out of range: must be between %v and %v", minTokenLifetime, maxTokenLifetime)
				}

				return nil
			},
		},
		cli.Flag{
			Name: "insecure", Group: groupAccess, Value: &f.insecure,
			Usage: "let other machines connect without TLS, or without an identity",
		},
	)
}

// checkAccess returns what is wrong with the flags about access, without reading the files.
func (f *serveFlags) checkAccess(cmd *cobra.Command) (errs []error) {
	complain := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	setting := func(flag string) string { return cli.Setting(cmd, flag) }
	switch {
	case f.cert != "" && f.key == "":
		complain("%s=%q needs a private key: pass --tls-key", setting("tls-cert"), f.cert)
	case f.cert == "" && f.key != "":
		complain("%s=%q needs a certificate: pass --tls-cert", setting("tls-key"), f.key)
	case f.cert == "" && f.clientCA != "":
		complain("%s=%q needs TLS: pass --tls-cert and --tls-key", setting("tls-client-ca"), f.clientCA)
	}
	if f.tokens == "" && cli.OnLine(cmd, "token-lifetime") {
		complain("--token-lifetime=%v is for users of a tokens file: pass --tokens, or leave --token-lifetime out",
			f.tokenLifetime)
	}
	if f.advertise != "" {
		if _, err := advertise.Parse(f.advertise); err != nil {
			complain("%s=%q %w", setting("advertise"), f.advertise, err)
		}
	}
	if len(f.passed.listen) == 0 {
		if err := f.checkAddress(cli.Setting(cmd, "listen"), f.listen); err != nil {
			errs = append(errs, err)
		}
	}

	return append(errs, f.checkPassed()...)
}

// checkAddress refuses an address that other machines can reach without TLS and an identity, unless --insecure allows
// that. The setting is the name of what sets the address.
func (f *serveFlags) checkAddress(setting, address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s=%q is not host:port: write e.g. 127.0.0.1:2136", setting, address)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("%s=%q has no valid port: write e.g. 127.0.0.1:2136", setting, address)
	}
	if f.insecure || isLoopback(address) {
		return nil
	}
	var missing []string
	if f.cert == "" && f.key == "" {
		missing = append(missing, "--tls-cert, --tls-key")
	}
	if f.tokens == "" && f.clientCA == "" {
		missing = append(missing, "--tokens or --tls-client-ca")
	}
	if len(missing) == 0 {
		return nil
	}

	return fmt.Errorf("%s=%q: other machines can reach this address: pass %s; or pass --insecure if you trust that "+
		"network", setting, address, strings.Join(missing, ", and "))
}

// openCerts reads the certificates, if the flags name some.
func (f *serveFlags) openCerts(cmd *cobra.Command, log *slog.Logger) (*certs.Server, error) {
	if f.cert == "" || f.key == "" { // checkAccess has complained if there is one of them
		return nil, nil //nolint:nilnil // no TLS
	}
	file := func(flag, path string) certs.File { return certs.File{Setting: cli.Setting(cmd, flag), Path: path} }

	return certs.Load(certs.Config{
		Cert: file("tls-cert", f.cert), Key: file("tls-key", f.key), ClientCA: file("tls-client-ca", f.clientCA),
		ClientOptional: f.tokens != "", Logger: log,
	})
}

// tokenOptions checks the tokens file, if there is one, and returns the options for it.
func (f *serveFlags) tokenOptions(cmd *cobra.Command) ([]server.Option, error) {
	if f.tokens == "" {
		return nil, nil
	}
	if _, err := access.Load(f.tokens); err != nil {
		return nil, fmt.Errorf("%s: %w", cli.Setting(cmd, "tokens"), err)
	}

	return []server.Option{server.WithTokensFile(f.tokens), server.WithTokenLifetime(f.tokenLifetime)}, nil
}
