package printable_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/printable"
)

// A log has only the beginning of a long value, wherever it stands, and each record is one line.
func TestHandler(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("\n\x1b[2J", 1<<18)
	type name string
	var out bytes.Buffer
	log := slog.New(printable.Handler(slog.NewTextHandler(&out, nil))).With("with", long).WithGroup("group")
	log.InfoContext(t.Context(), "m", "text", long, "error", errors.New(long), "name", name(long),
		"inner", slog.GroupValue(slog.String("x", long)))
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
	require.Less(t, out.Len(), 6*6<<10)

	out.Reset()
	slog.New(printable.Handler(slog.NewTextHandler(&out, nil))).InfoContext(t.Context(), "m",
		"n", 7, "e", errors.New("x y"), "stack", long)
	require.Contains(t, out.String(), `msg=m n=7 e="x y" stack=`)
	require.Greater(t, out.Len(), len(long), "a stack is not cut")
}

func TestMessage(t *testing.T) {
	t.Parallel()
	require.Equal(t, `a\nb`, printable.Message("a\nb"))
	require.Equal(t, strings.Repeat("x", 1024)+"…", printable.Message(strings.Repeat("x", 1<<20)))
}
