package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"tenure/internal/clientauth"
	"tenure/internal/dsn"
	"tenure/internal/roots"
)

// authFlags are the names of the flags in AuthFlags.
var authFlags = []string{"ca-file", "cert-file", "key-file", "auth-token-file"}

// AuthFlags are the rows of the flags that set a. Every command that connects to a server has them. It calls CheckAuth
// before it uses a.
func AuthFlags(a *clientauth.Settings) []Flag {
	return []Flag{
		{
			Name: "ca-file", Group: GroupWhere, Arg: "FILE", Example: "ca.pem", Value: &a.CA.Path,
			Usage: "authorities to trust for grpcs:// (default: those of the system)",
		},
		{
			Name: "cert-file", Group: GroupWhere, Arg: "FILE", Example: "client.pem", Value: &a.Cert.Path,
			Usage: "certificate of this client, for grpcs://",
		},
		{
			Name: "key-file", Group: GroupWhere, Arg: "FILE", Example: "client.key", Value: &a.Key.Path,
			Usage: "private key of --cert-file",
		},
		{
			Name: "auth-token-file", Group: GroupWhere, Arg: "FILE", Example: "/etc/tenure/token", Value: &a.Token.Path,
			Usage: "access token; the file may be replaced (default: the YDB_* variables)",
		},
	}
}

// AuthHints names what a user of the commands can set when a server is not trusted, or does not know the caller.
var AuthHints = dsn.Hints{
	CA: "--ca-file or YDB_SSL_ROOT_CERTIFICATES_FILE", Cert: "--cert-file and --key-file",
	Token: "--auth-token-file, YDB_ACCESS_TOKEN_CREDENTIALS or YDB_STATIC_CREDENTIALS_USER",
}

// CheckAuth checks the settings for a server at the address, and completes them.
func CheckAuth(env *Env, cmd *cobra.Command, a *clientauth.Settings, address *dsn.Address) error {
	for _, name := range roots.Credentials {
		if value, ok := env.LookupEnv(name); ok && value == "" {
			return fmt.Errorf("%s is empty: set it to its value, or unset the variable", name)
		}
	}
	if !address.Secure() {
		for _, flag := range authFlags[:3] {
			if OnLine(cmd, flag) {
				return fmt.Errorf("--%s is for a server with TLS, but %s=%q does not use it: write grpcs://, or leave --%s out",
					flag, Setting(cmd, "ydb"), redacted(cmd.Flags().Lookup("ydb").Value.String()), flag)
			}
		}
		a.CA.Path, a.Cert.Path, a.Key.Path = "", "", "" // of variables, which are for other servers as well
	}
	a.CA.Setting, a.Cert.Setting = Setting(cmd, "ca-file"), Setting(cmd, "cert-file")
	a.Key.Setting, a.Token.Setting = Setting(cmd, "key-file"), Setting(cmd, "auth-token-file")

	return a.Check(env.LookupEnv)
}

// noAuth returns an error if the command line has flags that the embedded server does not use.
func noAuth(cmd *cobra.Command) error {
	for _, flag := range authFlags {
		if OnLine(cmd, flag) {
			return fmt.Errorf("--%s is not for the embedded server: pass the address of a server with --ydb, or leave --%s "+
				"out", flag, flag)
		}
	}

	return nil
}
