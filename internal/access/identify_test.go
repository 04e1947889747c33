package access_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/access"
)

func TestAuthority_Identify(t *testing.T) {
	t.Parallel()
	token, hash := access.NewToken()
	old, oldHash := access.NewToken()
	unknown, _ := access.NewToken()
	p := parse(t, `
user deploy token=`+hash+` expires=2027-01-01
user deploy token=`+oldHash+` expires=2026-11-28T12:00:00Z
user build  cert=CN:build.ci cert=URI:spiffe://ci/build cert=DNS:b.example
user other  cert=DNS:o.example expires=2027-01-01
user other  cert=DNS:old.example expires=2026-01-01
user local  peer=uid:1000
user local  peer=uid:1001 expires=2026-01-01
`)
	a := access.NewAuthority(p, access.AuthorityConfig{OwnUIDs: []uint32{0, 1000}})
	certificate := func(cn string, names ...string) access.Shown {
		c := &x509.Certificate{Subject: pkix.Name{CommonName: cn}}
		for _, name := range names {
			if u, err := url.Parse(name); err == nil && u.Scheme != "" {
				c.URIs = append(c.URIs, u)
			} else {
				c.DNSNames = append(c.DNSNames, name)
			}
		}

		return access.ShowCertificate(c)
	}
	for name, c := range map[string]struct {
		shown  access.Shown
		user   string
		reason access.Reason
	}{
		"a token":                       {a.ShowToken(token), "deploy", ""},
		"a token with a scheme":         {a.ShowToken("bearer " + token), "deploy", ""},
		"a token with the other scheme": {a.ShowToken("Login " + token), "deploy", ""},
		"one scheme only":               {a.ShowToken("Login Bearer " + token), "", access.UnknownToken},
		"no token":                      {a.ShowToken(""), "", access.NothingShown},
		"blanks":                        {a.ShowToken("  "), "", access.NothingShown},
		"an expired token":              {a.ShowToken(old), "", access.ExpiredToken},
		"an unknown token":              {a.ShowToken(unknown), "", access.UnknownToken},
		"a mistyped token":              {a.ShowToken(strings.ToUpper(token)), "", access.UnknownToken},
		"the hash of a token":           {a.ShowToken(hash), "", access.UnknownToken},
		"no JWT":                        {a.ShowToken("a.b.c"), "", access.UnknownToken},
		"an unsigned JWT": {
			a.ShowToken("eyJhbGciOiJub25lIn0.eyJzdWIiOiJkZXBsb3kiLCJleHAiOjk5OTk5OTk5OTl9."), "", access.BadSignature,
		},
		"no certificate":               {access.ShowCertificate(nil), "", access.NothingShown},
		"a common name":                {certificate("build.ci"), "build", ""},
		"a DNS name":                   {certificate("", "x", "b.example"), "build", ""},
		"a URI":                        {certificate("x", "spiffe://ci/build"), "build", ""},
		"two names of a user":          {certificate("build.ci", "b.example"), "build", ""},
		"names of two users":           {certificate("build.ci", "o.example"), "", access.AmbiguousCertificate},
		"an expired name":              {certificate("", "old.example"), "", access.ExpiredCertificate},
		"a DNS name as a common name":  {certificate("b.example"), "", access.UnknownCertificate},
		"a certificate without a name": {certificate(""), "", access.UnknownCertificate},
		"a name inside of a name":      {certificate("x\nCN:build.ci"), "", access.UnknownCertificate},
		"a uid":                        {access.ShowUID(1000), "local", ""},
		"the server's own uid":         {access.ShowUID(0), access.OwnName, ""},
		"an unknown uid":               {access.ShowUID(1002), "", access.UnknownUID},
		"an expired uid":               {access.ShowUID(1001), "", access.ExpiredUID},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, identify := range []func(access.Shown, time.Time) (*access.User, error){a.Identify, a.Again} {
				u, err := identify(c.shown, now)
				if c.reason == "" {
					require.NoError(t, err)
					require.Equal(t, c.user, u.Name)

					continue
				}
				var denied *access.DeniedError
				require.ErrorAs(t, err, &denied)
				require.Equal(t, c.reason, denied.Reason)
				require.Equal(t, string(c.reason), access.ReasonOf(err))
				want := "Could not find correct token validator"
				if c.shown.None() {
					want = "Access denied without user token"
				}
				require.Equal(t, want, denied.Text())
				require.NotContains(t, err.Error(), token)
			}
		})
	}
}

// The server's own user may do everything, unless the file says who it is.
func TestAuthority_OwnUID(t *testing.T) {
	t.Parallel()
	a := access.NewAuthority(parse(t, "user u peer=uid:5"), access.AuthorityConfig{OwnUIDs: []uint32{4, 5}})
	own, err := a.Identify(access.ShowUID(4), now)
	require.NoError(t, err)
	require.Equal(t, access.Full, own.Rights("/any/path"))
	named, err := a.Identify(access.ShowUID(5), now)
	require.NoError(t, err)
	require.Zero(t, named.Rights("/any/path"))
}

func TestAuthority_ReplaceRevokes(t *testing.T) {
	t.Parallel()
	token, hash := access.NewToken()
	a := access.NewAuthority(parse(t, "user u token="+hash+"\ngrant u / full"), access.AuthorityConfig{})
	shown := a.ShowToken(token)
	before, err := a.Identify(shown, now)
	require.NoError(t, err)

	next := parse(t, "user u token="+hash+"\ngrant u / list")
	a.Replace(next)
	require.Same(t, next, a.Policy())
	after, err := a.Again(shown, now)
	require.NoError(t, err)
	require.Equal(t, access.Full, before.Rights("/x"))
	require.Equal(t, access.List, after.Rights("/x"))

	a.Replace(parse(t, "user u token="+hash1))
	_, err = a.Again(shown, now)
	require.EqualError(t, err, shown.String()+": unknown_token")
}

func TestShown_String(t *testing.T) {
	t.Parallel()
	a := access.NewAuthority(parse(t, "user u peer=uid:5"), access.AuthorityConfig{})
	token, hash := access.NewToken()
	require.Equal(t, "token "+hash[7:15], a.ShowToken(token).String())
	require.Equal(t, "uid:5", access.ShowUID(5).String())
	require.Equal(t, "nothing", access.Shown{}.String())
	c := &x509.Certificate{Subject: pkix.Name{CommonName: "a"}, DNSNames: []string{"b"}}
	require.Equal(t, "certificate CN:a DNS:b", access.ShowCertificate(c).String())
	require.Equal(t, "other", access.ReasonOf(errors.New("x")))
}

func TestToken_ChecksumTellsMistypedOnes(t *testing.T) {
	t.Parallel()
	token, hash := access.NewToken()
	other, _ := access.NewToken()
	require.NotEqual(t, token, other)
	require.Len(t, token, 52)
	require.Equal(t, hash, access.HashToken(token))
	require.True(t, access.IsToken(token))
	require.False(t, access.Mistyped(token))
	require.False(t, access.Mistyped("some other token"))
	for i := range token[4:] {
		changed := []byte(token)
		changed[4+i] ^= 1
		require.True(t, access.Mistyped(string(changed)), i)
		require.True(t, access.Mistyped(token[:4+i]), i)
	}
	require.True(t, access.Mistyped(token+"A"))
}
