//go:build unix

package audit_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/audit"
)

// A log that is not a file is not read: opening a pipe could wait forever.
func TestTail_Pipe(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	_, err := audit.Tail(path, "/local/x", "deploy", 5)
	require.ErrorContains(t, err, "not a regular file")
	_, err = audit.Tail(path+".missing", "/local/x", "deploy", 5)
	require.ErrorIs(t, err, os.ErrNotExist)
}
