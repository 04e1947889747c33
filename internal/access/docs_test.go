package access_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/access"
)

// The file in docs/access.md is valid, and no line of it is without effect.
func TestDocs_File(t *testing.T) {
	t.Parallel()
	_, rest, found := strings.Cut(docs(t), "```tokens\n")
	require.True(t, found)
	text, _, _ := strings.Cut(rest, "```")
	policy, err := access.Parse("docs/access.md", []byte(text))
	require.NoError(t, err)
	require.Empty(t, policy.Warnings("/local", time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)))
}

// Each short name in docs/access.md stands for the rights that the table lists.
func TestDocs_Rights(t *testing.T) {
	t.Parallel()
	_, rest, found := strings.Cut(docs(t), "| Short name |")
	require.True(t, found)
	seen := 0
	for line := range strings.Lines(rest) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || !strings.HasPrefix(cells[1], " `") {
			if seen > 0 {
				break
			}

			continue
		}
		seen++
		short := code(cells[1])[0]
		if short == "full" { // the table says "all of these"
			require.Equal(t, access.Full, rights(t, short))

			continue
		}
		require.Equal(t, rights(t, code(cells[2])...), rights(t, short), short)
	}
	require.Equal(t, 7, seen)
}

func docs(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/access.md")
	require.NoError(t, err)

	return string(text)
}

// code returns the words between backquotes.
func code(text string) []string {
	parts := strings.Split(text, "`")

	return slices.Collect(func(yield func(string) bool) {
		for i := 1; i < len(parts); i += 2 {
			if !yield(parts[i]) {
				return
			}
		}
	})
}

// rights returns what a grant of the names gives.
func rights(t *testing.T, names ...string) access.Rights {
	t.Helper()
	text := "user ann peer=uid:1\ngrant ann / " + strings.Join(names, " ") + "\n"
	policy, err := access.Parse("file", []byte(text))
	require.NoError(t, err)

	return policy.Permissions("/local")[0].Rights
}
