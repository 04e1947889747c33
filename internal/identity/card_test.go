package identity_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/identity"
)

// A card is read as it was written. Data of any other form is what the holder calls itself.
func TestCard(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	for text, card := range map[string]identity.Card{
		"":                            {},
		"alice@ci-3, pid 42 (backup)": {Who: "alice@ci-3, pid 42 (backup)"},
		"alice@ci-3, pid 42 (backup), since 2026-03-01T02:00:00Z": {
			Who: "alice@ci-3, pid 42 (backup)", Since: since,
		},
		"a, since 2026-03-01T02:00:00Z, done, held until 2026-03-01T02:30:00Z": {
			Who: "a", Since: since, Until: since.Add(30 * time.Minute),
		},
		"a, done, held until 2026-03-01T02:00:00Z": {Who: "a", Until: since},
		"a, since yesterday":                       {Who: "a, since yesterday"},
		"release 7, since 2026-03-01T02:00:00Z, b": {Who: "release 7, since 2026-03-01T02:00:00Z, b"},
	} {
		require.Equal(t, card, identity.ReadCard([]byte(text)))
		require.Equal(t, text, card.String())
	}
	require.Equal(t, identity.Card{Who: "a?b?"}, identity.ReadCard([]byte("a\x1bb\xff")))
	require.Len(t, identity.ReadCard([]byte(strings.Repeat("x", 5000))).Who, 255)
}
