package lockcmd

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A process learns from its environment which locks its ancestors hold.
func TestAncestry(t *testing.T) {
	t.Parallel()
	environment := func(value string) func(string) (string, bool) {
		return func(name string) (string, bool) { return value, name == heldVariable && value != "none" }
	}
	for _, value := range []string{"none", ""} {
		holds, err := ancestry(environment(value))
		require.NoError(t, err)
		require.Empty(t, holds)
	}
	_, err := ancestry(environment("deploy=7"))
	require.ErrorContains(t, err, `TENURE_HELD="deploy=7" was not set by lock`)

	outer := hold{Server: "localhost:2136/local", Node: "/local/tenure", Name: "a=b \"c\"\n", Session: 3, Token: 7}
	inner := hold{Server: outer.Server, Node: outer.Node, Name: "inner", Session: 4, Token: 8}
	variable := heldText(nil, []hold{outer})
	holds, err := ancestry(environment(variable))
	require.NoError(t, err)
	require.Equal(t, []hold{outer}, holds)
	holds, err = ancestry(environment(heldText(holds, []hold{inner})))
	require.NoError(t, err)
	require.Equal(t, []hold{outer, inner}, holds)

	h, found := under(holds, outer.Server, outer.Node, "inner")
	require.True(t, found)
	require.Equal(t, inner, h)
	_, found = under(holds, "other:2136/local", outer.Node, "inner")
	require.False(t, found)

	// An entry that is no longer true is replaced.
	again := inner
	again.Token = 9
	require.Equal(t, heldText([]hold{outer}, []hold{again}), heldText(holds, []hold{again}))
}

func TestServerID(t *testing.T) {
	t.Parallel()
	for address, id := range map[string]string{
		"grpc://localhost:2136/local":                "localhost:2136/local",
		"grpc://127.0.0.1:2136/local":                "localhost:2136/local",
		"grpc://[::1]:2136/local":                    "localhost:2136/local",
		"grpcs://me:secret@ydb.example.com:2135/a/b": "ydb.example.com:2135/a/b",
	} {
		require.Equal(t, id, serverID(address))
	}
}
