package outputtest_test

import (
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/outputtest"
)

func TestBuffer(t *testing.T) {
	t.Parallel()
	var b outputtest.Buffer
	require.Empty(t, b.String())
	var writing sync.WaitGroup
	for range 100 {
		writing.Go(func() { _, _ = io.WriteString(&b, "line\n") })
	}
	writing.Wait()
	require.Equal(t, strings.Repeat("line\n", 100), b.String())
}
