package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/access"
	"tenure/internal/cli"
)

// noConfig keeps the configuration of the user who runs the tests out of them.
var noConfig = map[string]string{cli.ConfigVariable: os.DevNull}

func TestToken_New(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := tenureRun(t, noConfig, "token", "new", "deploy", "--expires", "2027-06-01")
	require.Equal(t, cli.ExitOK, code)
	token := strings.TrimSuffix(stdout, "\n")
	require.True(t, access.IsToken(token))
	require.False(t, access.Mistyped(token))
	require.Equal(t, "user deploy token="+access.HashToken(token)+" expires=2027-06-01\n", stderr)
	_, err := access.Parse("tokens", []byte(stderr))
	require.NoError(t, err)
}

func TestToken_NewAppendsToTheFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	var tokens []string
	for _, c := range []struct{ user, stderr string }{
		{"ann", "tenure: added a token of ann to " + file + "; ann has no rights yet: add a line such as: " +
			"grant ann /local use\n"},
		{"bob", "tenure: added a token of bob to " + file + "\n"},
		{"bob", "tenure: added a token of bob to " + file + "\n"},
	} {
		code, stdout, stderr := tenureRun(t, noConfig, "token", "new", c.user, "--tokens", file)
		require.Equal(t, c.stderr, stderr)
		require.Equal(t, cli.ExitOK, code)
		tokens = append(tokens, strings.TrimSuffix(stdout, "\n"))
		if c.user == "ann" { // the last line of a file may have no end
			f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
			require.NoError(t, err)
			_, err = f.WriteString("grant bob / full")
			require.NoError(t, err)
			require.NoError(t, f.Close())
		}
	}
	p, err := access.Load(file) // so only the owner can read it
	require.NoError(t, err)
	a := access.NewAuthority(p, access.AuthorityConfig{})
	for i, want := range []string{"ann", "bob", "bob"} {
		u, err := a.Identify(a.ShowToken(tokens[i]), time.Now())
		require.NoError(t, err)
		require.Equal(t, want, u.Name)
	}
}

// A file with an error, or that others can read, stays as it is, and no token is shown.
func TestToken_NewChangesNoFileThatAServerRefuses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	for _, c := range []struct {
		text, want string
		mode       os.FileMode
	}{
		{"usr x\n", `tenure: --tokens="` + file + `": ` + file + `:1: unknown word "usr"`, 0o600},
		{"# x\n", `tenure: --tokens="` + file + `": other users can use ` + file + " (mode 0644): run chmod go-rwx", 0o644},
	} {
		require.NoError(t, os.WriteFile(file, []byte(c.text), 0o600))
		require.NoError(t, os.Chmod(file, c.mode))
		code, stdout, stderr := tenureRun(t, noConfig, "token", "new", "ann", "--tokens", file)
		require.Equal(t, cli.ExitFailure, code)
		require.Empty(t, stdout)
		require.Contains(t, stderr, c.want)
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, c.text, string(text))
	}
}

func TestToken_RefusesBadUsage(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"new":                       "name one user: write e.g. tenure token new deploy",
		"new a b":                   "name one user: write e.g. tenure token new deploy",
		"new all":                   `"all" stands for all users and cannot be a name: write another name`,
		"new a,b":                   `the name "a,b" contains ',': write a name without blanks, quotes, =, comma and #`,
		"new a --expires tomorrow":  `expires="tomorrow" is not a date: write 2027-06-01`,
		"new a --tokens /none/file": `--tokens="/none/file": open /none/file: no such file or directory`,
		"hash secret":               `unexpected argument "secret": see tenure token hash --help`,
		"hash":                      "the token is empty: write it on standard input",
		"hash --password":           "the password is empty: write it on standard input",
		"old":                       `unknown command "old"`,
	} {
		code, stdout, stderr := tenureRun(t, noConfig, append([]string{"token"}, strings.Fields(line)...)...)
		require.Equal(t, cli.ExitFailure, code, line)
		require.Empty(t, stdout, line)
		require.Contains(t, stderr, want, line)
		require.Equal(t, 1, strings.Count(stderr, "\n"), line)
	}
}

// hashRun runs "tenure token hash" with an input.
func hashRun(t *testing.T, input string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = cli.Run(t.Context(), build, &cli.Env{
		Args:      append([]string{"token", "hash"}, args...),
		LookupEnv: func(name string) (string, bool) { v, ok := noConfig[name]; return v, ok },
		Stdin:     strings.NewReader(input), Stdout: &out, Stderr: &errs,
	})

	return code, out.String(), errs.String()
}

func TestToken_Hash(t *testing.T) {
	t.Parallel()
	token, hash := access.NewToken()
	for _, input := range []string{token, token + "\n", token + "\r\n", "Bearer " + token + "\n"} {
		code, stdout, stderr := hashRun(t, input)
		require.Equal(t, cli.ExitOK, code)
		require.Empty(t, stderr)
		require.Equal(t, hash+"\n", stdout)
	}

	code, stdout, stderr := hashRun(t, "short")
	require.Equal(t, cli.ExitOK, code)
	require.Equal(t, access.HashToken("short")+"\n", stdout)
	require.Contains(t, stderr, "tenure: warning: the token has only 5 characters")

	for input, want := range map[string]string{
		token[:30]:                    "the token is mistyped or incomplete: copy it again",
		token + "\n" + token:          "the token contains control characters or several lines",
		strings.Repeat("x", 1<<15):    "the token has more than 16384 bytes",
		"\x00" + strings.ToUpper("x"): "the token contains control characters",
	} {
		code, stdout, stderr := hashRun(t, input)
		require.Equal(t, cli.ExitFailure, code)
		require.Empty(t, stdout)
		require.Contains(t, stderr, want)
		require.NotContains(t, stderr, token[:30])
	}
	_, _, stderr = hashRun(t, strings.Repeat("x", 73), "--password")
	require.Equal(t, "tenure: the password has 73 bytes: choose one of at most 72\n", stderr)
	hash, err := hashSecret(nil, "pass word", true, 4)
	require.NoError(t, err)
	require.Regexp(t, `^\$2b\$04\$[./A-Za-z0-9]{53}$`, hash)
}
