package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"tenure/internal/access"
	"tenure/internal/cli"
	"tenure/internal/secretfile"
)

func tokenCommand(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "token",
		Short:   "make tokens and password hashes for the tokens file of a server",
		Example: "tenure token new deploy --tokens /etc/tenure/tokens\ntenure token hash --password",
		Long: `tenure token makes what a tokens file contains. tenure serve --tokens reads such a file. It has one fact per
line:

  user  deploy  token=sha256:1f3a...e2 expires=2027-06-01
  user  alice   password=$2b$12$... groups=ops
  user  build   cert=CN:build.ci.example cert=URI:spiffe://ci/build
  user  local   peer=uid:1000
  grant ops     /local        full
  grant deploy  /local/deploy use
  grant all     /local        list
  limit deploy  streams=200 sessions=500 rate=200/s attaches=20/s

Users:
  A user can have several lines, for example two tokens while one replaces the other. What a line shows is valid until
  the day of expires= begins, in UTC. Certificates are matched by a common name (CN), a DNS name or a URI, and processes
  on the Unix socket of the server by their uid.

Rights:
  A grant is for a user, a group or all users, and covers its path and everything below it. read: describe and watch
  semaphores. write: acquire, release, create, change and delete semaphores. list: describe nodes and directories.
  create: create, change and drop nodes and directories. use: read, write and list, which lock and workers need. admin:
  change rights. full: everything. YDB's names, such as ydb.generic.read, are possible as well.

Words that contain blanks or # are written in double quotes. # begins a comment.`,
	}
	cmd.AddCommand(tokenNewCommand(env), tokenHashCommand(env))

	return cmd
}

func tokenNewCommand(env *cli.Env) *cobra.Command {
	var file, expires string
	cmd := &cobra.Command{
		Use:     "new [flags] NAME",
		Short:   "make a token for a user",
		Example: "tenure token new deploy\ntoken=$(tenure token new deploy --tokens /etc/tenure/tokens)",
		Long: `tenure token new makes a token for the user NAME and prints it on standard output. The token is never shown
again, because the tokens file contains only its hash. The line for the tokens file is printed on standard error, or
appended to the file of --tokens, which is created if it is missing. A server that uses the file reads it again within 5
seconds.

Give the token to clients in TENURE_AUTH_TOKEN_FILE, --auth-token-file or YDB_ACCESS_TOKEN_CREDENTIALS.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("name one user: write e.g. tenure token new deploy")
			}

			return nil
		},
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := access.CheckName(args[0]); err != nil {
			return err
		}
		token, hash := access.NewToken()
		line := "user " + args[0] + " token=" + hash
		if expires != "" {
			line += " expires=" + expires
		}
		if _, err := access.Parse(cli.Setting(cmd, "expires"), []byte(line)); err != nil {
			return errors.Unwrap(err)
		}
		if file == "" {
			fmt.Fprintln(env.Stderr, line)
		} else {
			policy, err := appendLine(file, line)
			if err != nil {
				return fmt.Errorf("%s=%q: %w", cli.Setting(cmd, "tokens"), file, err)
			}
			next := ""
			if !policy.Granted(args[0]) {
				next = fmt.Sprintf("; %s has no rights yet: add a line such as: grant %[1]s /local use", args[0])
			}
			fmt.Fprintf(env.Stderr, "tenure: added a token of %s to %s%s\n", args[0], file, next)
		}
		_, err := fmt.Fprintln(env.Data, token)

		return err
	}
	cli.AddFlags(cmd,
		cli.Flag{
			Name: "tokens", Arg: "FILE", Example: "/etc/tenure/tokens", Env: "TENURE_TOKENS_FILE", Value: &file,
			Usage: "append the line to FILE",
		},
		cli.Flag{
			Name: "expires", Arg: "DATE", Example: "2027-06-01", Value: &expires,
			Usage: "the token is not valid any more when this day begins, in UTC (default: no end)",
		},
	)

	return cmd
}

// maxTokens is the size of the largest tokens file that tenure token new appends to.
const maxTokens = 8 << 20

// appendLine appends a line to a tokens file, or creates the file with it. It returns the policy of the file. It
// changes nothing if the file would not be valid.
func appendLine(file, line string) (policy *access.Policy, err error) {
	flags := os.O_WRONLY | os.O_APPEND
	text, err := secretfile.Read(file, maxTokens)
	switch {
	case errors.Is(err, os.ErrNotExist):
		flags |= os.O_CREATE | os.O_EXCL
	case err != nil:
		return nil, err
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		line = "\n" + line
	}
	line += "\n"
	if policy, err = access.Parse(file, append(text, line...)); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(file, flags, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString(line) // in one write: a server may be reading the file

	return policy, errors.Join(err, f.Sync(), f.Close())
}
