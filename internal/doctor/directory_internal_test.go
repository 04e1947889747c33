package doctor

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Space and files both count. A system that does not tell the number of files is not taken for a full one.
func TestDirectory_Space(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for _, test := range []struct {
		on   disk
		want Result
	}{
		{disk{free: 256 * mib}, OK},
		{disk{free: 256*mib - 1}, Warn},
		{disk{free: 32 * mib}, Warn},
		{disk{free: 32*mib - 1}, Bad},
		{disk{free: 256 * mib, inodes: 1000, inodesReported: true}, OK},
		{disk{free: 256 * mib, inodes: 999, inodesReported: true}, Warn},
		{disk{free: 256 * mib, inodes: 99, inodesReported: true}, Bad},
	} {
		l := Directory{Choose: "--dir"}.space("/x", test.on)
		require.Equal(t, test.want, l.Result, l)
		require.Equal(t, test.want == OK, l.Do == "", l)
	}
}
