//go:build unix

package shell_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/shell"
)

// A shell reads each quoted word back as it was.
func TestQuote(t *testing.T) {
	t.Parallel()
	words := []string{"", "/a/B-1_2.x", "/a b", "/a'b", "''", `\`, "$HOME", "é", "*", "~", "!x", "a\tb", "a=b", "{x}"}
	for _, word := range words {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+shell.Quote(word)).Output()
		require.NoError(t, err)
		require.Equal(t, word, string(out))
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf '%s|' "+shell.Join(words...)).Output()
	require.NoError(t, err)
	require.Equal(t, strings.Join(words, "|")+"|", string(out))
	require.Equal(t, "lock deploy -- ./deploy.sh --to=x", shell.Join("lock", "deploy", "--", "./deploy.sh", "--to=x"))
	require.Equal(t, "'~'", shell.Quote("~"))
}
