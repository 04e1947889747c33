package cli_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/cli"
)

func TestElapsed(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 999 * time.Millisecond: "0s", 1999 * time.Millisecond: "1s", 59*time.Second + 999: "59s",
		time.Minute: "1m", 245 * time.Second: "4m5s", 10*time.Minute - 1: "9m59s", 12*time.Minute + 59*time.Second: "12m",
		time.Hour - 1: "59m", time.Hour: "1h0m", 24*time.Hour - 1: "23h59m", 51*time.Hour + 59*time.Minute: "2d3h",
	} {
		require.Equal(t, want, cli.Elapsed(d), d)
	}
}

func TestRemaining(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 1: "1s", time.Second: "1s", 1001 * time.Millisecond: "2s", time.Minute - 1: "1m",
		245*time.Second - 1: "4m5s", 10*time.Minute - 1: "10m", 12*time.Minute + 1: "13m", time.Hour - 1: "1h0m",
		24*time.Hour - 1: "1d0h", 51 * time.Hour: "2d3h", 51*time.Hour + 1: "2d4h",
	} {
		require.Equal(t, want, cli.Remaining(d), d)
	}
}
