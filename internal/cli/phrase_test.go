package cli_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/cli"
)

func TestShort(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"0s": -time.Second, "59s": 59 * time.Second, "1m": time.Minute, "4m5s": 245 * time.Second,
		"12m": 12*time.Minute + 5*time.Second, "1h0m": time.Hour, "2d3h": 51 * time.Hour,
	} {
		require.Equal(t, want, cli.Short(d))
	}
}
