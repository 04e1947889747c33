package clientauth

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/access"
	"tenure/internal/certs"
	"tenure/internal/certs/certtest"
)

// Check finds what is wrong with the files and variables before a command connects, and says what to do.
func TestSettings_Check(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	authority := certtest.New(t)
	ca := authority.WriteFile(t, dir, "ca.pem")
	cert, key := authority.Issue(t).WriteFiles(t, dir, "client")
	expired, expiredKey := authority.Issue(t, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = certtest.Now.Add(-2*time.Hour), certtest.Now.Add(-time.Hour)
	}).WriteFiles(t, dir, "expired")
	token, _ := access.NewToken()
	mistyped := token[:len(token)-1] + map[bool]string{true: "a", false: "b"}[token[len(token)-1] != 'a']
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), mode))

		return path
	}
	type vars map[string]string
	of := func(setting, path string) certs.File { return certs.File{Setting: setting, Path: path} }
	for name, c := range map[string]struct {
		settings Settings
		vars     vars
		want     string // "": no error
	}{
		"nothing": {},
		"all": {
			settings: Settings{
				CA: of("--ca-file", ca), Cert: of("--cert-file", cert), Key: of("--key-file", key),
				Token: of("--auth-token-file", file("token", token+"\r\n", 0o600)),
			},
		},
		"static credentials": {vars: vars{userVariable: "ann", passwordVariable: ""}},
		"no such authority":  {settings: Settings{CA: of("--ca-file", dir+"/none")}, want: "--ca-file"},
		"no such authority in the variable": {
			vars: vars{rootsVariable: dir + "/none"}, want: rootsVariable,
		},
		"no certificate in the authority": {
			settings: Settings{CA: of("--ca-file", file("empty", "", 0o600))}, want: "--ca-file",
		},
		"key without certificate": {settings: Settings{Key: of("--key-file", key)}, want: "pass --cert-file"},
		"certificate without key": {settings: Settings{Cert: of("--cert-file", cert)}, want: "pass --key-file"},
		"expired certificate": {
			settings: Settings{Cert: of("--cert-file", expired), Key: of("--key-file", expiredKey)}, want: "expired",
		},
		"key of another certificate": {
			settings: Settings{Cert: of("--cert-file", cert), Key: of("--key-file", expiredKey)}, want: "--key-file",
		},
		"empty token": {
			settings: Settings{Token: of("--auth-token-file", file("no token", "\n", 0o600))},
			want:     "is empty: write the access token into it",
		},
		"mistyped token": {
			settings: Settings{Token: of("--auth-token-file", file("mistyped", mistyped, 0o600))},
			want:     "its checksum is wrong",
		},
		"two tokens": {
			settings: Settings{Token: of("--auth-token-file", file("two", "a\nb\n", 0o600))},
			want:     "write the token alone, in one line",
		},
		"token that others can read": {
			settings: Settings{Token: of("--auth-token-file", file("open", token, 0o644))},
			want:     "other users can use",
		},
		"mistyped token in the variable": {vars: vars{tokenVariable: mistyped}, want: tokenVariable + " is mistyped"},
		"user without password":          {vars: vars{userVariable: "ann"}, want: passwordVariable + " is not"},
		"user, but a token comes first":  {vars: vars{userVariable: "ann", tokenVariable: "opaque"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.settings.Check(func(name string) (string, bool) {
				value, ok := c.vars[name]

				return value, ok
			})
			if c.want == "" {
				require.NoError(t, err)

				return
			}
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "\n")
			require.NotContains(t, err.Error(), mistyped, "a secret does not belong in a message")
		})
	}
}

// Files may be named relative to the directory in which the command starts, even if it changes it later.
func TestSettings_Absolute(t *testing.T) {
	dir := t.TempDir()
	certtest.New(t).WriteFile(t, dir, "ca.pem")
	t.Chdir(dir)
	s := Settings{CA: certs.File{Setting: "--ca-file", Path: "ca.pem"}}
	require.NoError(t, s.Check(func(string) (string, bool) { return "", false }))
	require.Equal(t, filepath.Join(dir, "ca.pem"), s.CA.Path)
}
