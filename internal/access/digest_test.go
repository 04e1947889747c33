package access

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each fact counts, and the order of lines and comments do not. Without the key, nobody can compute the digest.
func TestPolicy_Digest(t *testing.T) {
	t.Parallel()
	_, one := NewToken()
	_, two := NewToken()
	password, err := HashPassword("secret", minCost)
	require.NoError(t, err)
	lines := []string{
		"user a token=" + one + " groups=x,y", "user b peer=uid:7", "user b cert=CN:b expires=2099-01-01",
		"user c password=" + password, "grant x /local read write", "grant all /local list", "limit a streams=7",
		"limit all rate=9/s",
	}
	digest := func(key string, lines ...string) string {
		p, err := Parse("file", []byte(strings.Join(lines, "\n")))
		require.NoError(t, err)

		return p.Digest([]byte(key))
	}
	all := digest("k", lines...)
	require.Len(t, all, 16)
	require.NotEqual(t, all, digest("l", lines...))
	require.Equal(t, all, digest("k", append([]string{"# a comment", "grant all /local list"}, lines...)...))
	var reversed []string
	for _, line := range lines {
		reversed = append([]string{line}, reversed...)
	}
	require.Equal(t, all, digest("k", reversed...))

	for old, other := range map[string]string{
		one: two, "groups=x,y": "groups=x", "user b cert=CN:b": "user a cert=CN:b", "CN:b": "CN:d", "2099": "2098",
		"uid:7": "uid:8", "read write": "read", "grant x /local": "grant x /local/z", "grant all /local list": "",
		"streams=7": "streams=8", "rate=9/s": "rate=8/s", password: strings.Replace(password, "$2b", "$2y", 1),
		"user c password": "user d password",
	} {
		changed := strings.Split(strings.Replace(strings.Join(lines, "\n"), old, other, 1), "\n")
		require.NotEqual(t, lines, changed, old)
		require.NotEqual(t, all, digest("k", changed...), "%s: %s", old, other)
	}
}
