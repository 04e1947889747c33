package panics_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/panics"
)

func TestGuard(t *testing.T) {
	t.Parallel()
	require.NoError(t, panics.Guard(func() error { return nil }))
	require.Equal(t, io.EOF, panics.Guard(func() error { return io.EOF }))

	err := panics.Guard(func() error { panic("a bug") })
	var panicked *panics.Error
	require.ErrorAs(t, err, &panicked)
	require.EqualError(t, err, "panic: a bug")
	require.Equal(t, "a bug", panicked.Value)
	require.Contains(t, string(panicked.Stack), "TestGuard")
}
