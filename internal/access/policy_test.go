package access_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/access"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func parse(t *testing.T, text string) *access.Policy {
	t.Helper()
	p, err := access.Parse("tokens", []byte(text))
	require.NoError(t, err)

	return p
}

func TestUser_RightsCoverThePathAndEverythingBelow(t *testing.T) {
	token, hash := access.NewToken()
	p := parse(t, `
user deploy token=`+hash+` groups=ops,dev
grant deploy /local/deploy use
grant ops /local/deploy/a create
grant all /local list
grant other /local full
`)
	a := access.NewAuthority(p, access.AuthorityConfig{})
	u, err := a.Identify(a.ShowToken("Bearer "+token), now)
	require.NoError(t, err)
	require.Equal(t, "deploy", u.Name)
	require.Equal(t, []string{"dev", "ops"}, u.Groups)
	for path, want := range map[string]access.Rights{
		"/":                 0,
		"/loc":              0,
		"/local":            access.List,
		"/local/x":          access.List,
		"/local/deployment": access.List,
		"/local/deploy":     access.List | access.Read | access.Update | access.Erase,
		"/local/deploy/b/c": access.List | access.Read | access.Update | access.Erase,
		"/local/deploy/a/b": access.List | access.Read | access.Update | access.Erase | access.CreateNode |
			access.CreateDirectory | access.Alter | access.Remove,
	} {
		require.Equal(t, want, u.Rights(path), path)
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { u.Rights("/local/deploy/a/b") }))
}
