package catalog_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/catalog"
	"tenure/internal/node"
)

// FuzzPath checks that any path is either refused with a reason or names one entry, which all spellings of the path
// find, before and after a restart.
func FuzzPath(f *testing.F) {
	for _, path := range []string{
		"", "/", "//", "local", "/local", "/local/", "/local//a/../b", "/local/.", "/local/...", "/local/a.b",
		"/other", "/local/\x00", "/local/" + strings.Repeat("x", 256), "/local" + strings.Repeat("/a", 40), "/local/ж",
	} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		st := newMapStore()
		c := open(t, st)
		err := c.CreateNode(t.Context(), path, config)
		clean, cleanErr := catalog.Clean(path)
		if cleanErr != nil {
			require.Equal(t, cleanErr, err)
			requireRefusal(t, err)

			return
		}

		parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
		require.Equal(t, "/"+strings.Join(parts, "/"), clean)
		require.LessOrEqual(t, len(parts), 32)
		for _, part := range parts {
			require.LessOrEqual(t, len(part), 255)
			require.NotEqual(t, "..", part)
		}
		if err != nil { // the path is the database or outside it
			require.False(t, strings.HasPrefix(clean, "/local/"))
			requireRefusal(t, err)

			return
		}
		for _, c := range []*catalog.Catalog{c, open(t, st)} {
			for _, spelling := range []string{path, clean, clean + "/"} {
				e, err := c.Lookup(spelling)
				require.NoError(t, err)
				require.Equal(t, catalog.Entry{Path: clean, Kind: catalog.Node, Space: 1, Config: config}, e)
			}
		}
	})
}

func requireRefusal(t *testing.T, err error) {
	t.Helper()
	var refused *catalog.Error
	require.ErrorAs(t, err, &refused)
	require.Contains(t, []node.Status{node.BadRequest, node.SchemeError}, refused.Status)
	require.NotEmpty(t, refused.Issue)
	require.Less(t, len(refused.Issue), 4_000)
}
