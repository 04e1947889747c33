package programs

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A program that is kept is used again, and never mistaken for the one with the race detector.
func TestBuild_Keeps(t *testing.T) {
	keep := t.TempDir()
	t.Setenv(keepEnv, keep)
	require.NoError(t, os.Mkdir(filepath.Join(keep, "plain"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(keep, "plain", "lock"), []byte("kept"), 0o755))

	dir := t.TempDir()
	require.NoError(t, Build(t.Context(), dir, false, Lock))
	text, err := os.ReadFile(filepath.Join(dir, "lock"))
	require.NoError(t, err)
	require.Equal(t, "kept", string(text))

	err = Build(t.Context(), t.TempDir(), true, "tenure/internal/programs/none")
	require.ErrorContains(t, err, "build [tenure/internal/programs/none]: exit status ")
	require.NoFileExists(t, filepath.Join(keep, "race", "none"))
}
