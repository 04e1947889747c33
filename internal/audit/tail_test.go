package audit_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/audit"
)

// Tail finds the newest lines of one semaphore in two files, whatever is between them.
func TestTail(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	other := strings.ReplaceAll(line("09", "grant", `"token":9`), "deploy", "deploy2")
	elsewhere := strings.ReplaceAll(line("09", "grant", `"token":9,"who":"\"sem\":\"deploy\""`), "/local/x", "/local/y")
	var old, current strings.Builder
	for i := range 30 {
		fmt.Fprint(&old, line("01", "grant", fmt.Sprintf(`"token":%d`, i+1)))
	}
	fmt.Fprint(&current, line("02", "end", `"token":30,"reason":"released"`), "{torn\n", strings.Repeat(other, 2000))
	fmt.Fprint(&current, elsewhere, line("03", "grant", `"token":31`), "\n")
	fmt.Fprint(&current, strings.TrimSuffix(line("04", "wait", `"token":32`), "\n"))
	require.NoError(t, os.WriteFile(path+".1", []byte(old.String()), 0o600))
	require.NoError(t, os.WriteFile(path, []byte(current.String()), 0o600))

	got, err := audit.Tail(path, "/local/x", "deploy", 5)
	require.NoError(t, err)
	var tokens []uint64
	for _, e := range got {
		tokens = append(tokens, e.Token)
	}
	require.Equal(t, []uint64{32, 31, 30, 30, 29}, tokens)
	got, err = audit.Tail(path, "/local/x", "deploy", 100)
	require.NoError(t, err)
	require.Len(t, got, 33)
	got, err = audit.Tail(path, "/local/x", `a"b<`, 100)
	require.NoError(t, err)
	require.Empty(t, got)
}

// Tail reads only the end of a large log.
func TestTail_Large(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	text := line("01", "grant", `"token":1`) + strings.Repeat("x", 5<<20) + "\n" + line("01", "grant", `"token":2`)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	got, err := audit.Tail(path, "/local/x", "deploy", 5)
	require.NoError(t, err)
	require.Len(t, got, 1)
}

// Tail decodes only lines of the node, however many others have the name of the semaphore.
func TestTail_OtherNodes(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts those of other goroutines too
	path := filepath.Join(t.TempDir(), "audit.log")
	other := strings.ReplaceAll(line("09", "grant", `"token":9`), "/local/x", "/local/y")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat(other, 5000)), 0o600))
	allocs := testing.AllocsPerRun(1, func() {
		got, err := audit.Tail(path, "/local/x", "deploy", 5)
		require.NoError(t, err)
		require.Empty(t, got)
	})
	require.Less(t, allocs, 500.0)
}
