package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestParseImage(t *testing.T) {
	t.Parallel()
	got, err := parseImage("FROM x\nENV A=1 B=2\nSTOPSIGNAL SIGQUIT\nENTRYPOINT [\"a\", \"b\"]\nCMD [\"c d\"]\n")
	require.NoError(t, err)
	require.Equal(t, image{variables: []string{"A=1", "B=2"}, command: []string{"a", "b", "c d"}, stop: unix.SIGQUIT}, got)

	for text, want := range map[string]string{
		"CMD [\"a\"]\n":                          "there is no ENTRYPOINT",
		"ENTRYPOINT a\n":                         "the ENTRYPOINT is not a list",
		"ENTRYPOINT [\"a\"]\nCMD b\n":            "the CMD is not a list",
		"ENTRYPOINT [\"a\"]\nSTOPSIGNAL SIGNO\n": `no signal is called "SIGNO"`,
	} {
		_, err := parseImage(text)
		require.ErrorContains(t, err, want)
	}
}
