package storetest

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// MakeNewer changes a store on disk, which must be closed, into one of a later format. It depends on the header of the
// files of a log only, which docs/store.md describes, and which no later format may change.
func MakeNewer(t *testing.T, dir string, format uint32) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		binary.LittleEndian.PutUint32(content[8:], format)
		table := crc32.MakeTable(crc32.Castagnoli)
		binary.LittleEndian.PutUint32(content[12:], crc32.Update(crc32.Checksum(content[:12], table), table, content[16:24]))
		require.NoError(t, os.WriteFile(name, content, 0o600))
	}
}
