package cli

import (
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"tenure/internal/admin"
)

// AdminVariable is the variable with the admin address of the server.
const AdminVariable = "TENURE_ADMIN"

// AdminClient returns a client of the admin address, with the credentials and the certificate authorities that the
// flags and the variables of the command name.
func AdminClient(env *Env, cmd *cobra.Command, address string) (*admin.Client, error) {
	c := credentials{env, cmd}
	token, err := c.accessToken()
	if err != nil {
		return nil, err
	}
	roots, err := c.authorities()
	if err != nil {
		return nil, err
	}
	client, err := admin.New(address, token, roots)
	if err != nil {
		return nil, fmt.Errorf("%s=%q %w", Setting(cmd, "admin"), address, err)
	}

	return client, nil
}

// credentials finds what a command shows to a server, and which servers it trusts.
type credentials struct {
	env *Env
	cmd *cobra.Command
}

// value returns the value of a flag, if the command has it and it is set.
func (c credentials) value(flag string) string {
	if f := c.cmd.Flags().Lookup(flag); f != nil && Given(c.cmd, flag) {
		return f.Value.String()
	}

	return ""
}

// accessToken returns the token that the process has for the server.
func (c credentials) accessToken() (string, error) {
	file := c.value("auth-token-file")
	if file == "" {
		token, _ := c.env.LookupEnv("YDB_ACCESS_TOKEN_CREDENTIALS")

		return token, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", Setting(c.cmd, "auth-token-file"), err)
	}

	return strings.TrimSpace(string(text)), nil
}

// authorities returns the certificate authorities to trust; nil means those of the system.
func (c credentials) authorities() (*x509.CertPool, error) {
	file, setting := c.value("ca-file"), Setting(c.cmd, "ca-file")
	if file == "" {
		setting = "YDB_SSL_ROOT_CERTIFICATES_FILE"
		file, _ = c.env.LookupEnv(setting)
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
