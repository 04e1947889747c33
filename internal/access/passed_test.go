package access

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"testing"

	"github.com/stretchr/testify/require"
)

// Another server sees the same as the one to which the caller has shown it.
func TestShown_Passed(t *testing.T) {
	t.Parallel()
	a := authority(t, isRight)
	login, err := try(t, a, "ann", right, "1.2.3.4", noon)
	require.NoError(t, err)
	for _, shown := range []Shown{
		{},
		a.ShowToken("the-token"), a.ShowToken(login), a.ShowToken(login + "x"), ShowUID(7),
		ShowCertificate(&x509.Certificate{Subject: pkix.Name{CommonName: "a"}, DNSNames: []string{"b.example"}}),
	} {
		data, err := shown.MarshalBinary()
		require.NoError(t, err)
		require.NotContains(t, string(data), "the-token")
		var got Shown
		require.NoError(t, got.UnmarshalBinary(data))
		require.Equal(t, shown, got)
	}
	var got Shown
	for _, bad := range []string{"", "{", `{"kind":99}`, `{"kind":1,"sum":"QQ=="}`} {
		require.Error(t, got.UnmarshalBinary([]byte(bad)), bad)
	}
}
