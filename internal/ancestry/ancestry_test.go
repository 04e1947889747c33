package ancestry

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A process learns from its environment which locks its ancestors hold.
func TestAncestry(t *testing.T) {
	t.Parallel()
	environment := func(value string) func(string) (string, bool) {
		return func(name string) (string, bool) { return value, name == Variable && value != "none" }
	}
	for _, value := range []string{"none", ""} {
		holds, err := Read(environment(value))
		require.NoError(t, err)
		require.Empty(t, holds)
	}
	_, err := Read(environment("deploy=7"))
	require.ErrorContains(t, err, `TENURE_HELD="deploy=7" was not set by lock or workers`)

	outer := Hold{Server: "localhost:2136/local", Node: "/local/tenure", Name: "a=b \"c\"\n", Session: 3, Token: 7}
	inner := Hold{Server: outer.Server, Node: outer.Node, Name: "inner", Session: 4, Token: 8}
	variable := Text(nil, []Hold{outer})
	holds, err := Read(environment(variable))
	require.NoError(t, err)
	require.Equal(t, []Hold{outer}, holds)
	holds, err = Read(environment(Text(holds, []Hold{inner})))
	require.NoError(t, err)
	require.Equal(t, []Hold{outer, inner}, holds)

	h, found := Under(holds, outer.Server, outer.Node, "inner")
	require.True(t, found)
	require.Equal(t, inner, h)
	_, found = Under(holds, "other:2136/local", outer.Node, "inner")
	require.False(t, found)

	// An entry that is no longer true is replaced.
	again := inner
	again.Token = 9
	require.Equal(t, Text([]Hold{outer}, []Hold{again}), Text(holds, []Hold{again}))
}

func TestServerID(t *testing.T) {
	t.Parallel()
	for address, id := range map[string]string{
		"grpc://localhost:2136/local":                "localhost:2136/local",
		"grpc://127.0.0.1:2136/local":                "localhost:2136/local",
		"grpc://[::1]:2136/local":                    "localhost:2136/local",
		"grpcs://me:secret@ydb.example.com:2135/a/b": "ydb.example.com:2135/a/b",
	} {
		require.Equal(t, id, ServerID(address))
	}
}
